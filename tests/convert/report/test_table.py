"""The figures as lines of text."""

from picaption.convert.report.table import table, worst_layers


def test_the_table_names_what_the_report_does(reported):
    lines = table(reported.report)
    encoder = f"{reported.report.sizes['encoder'].bundle:,}"
    assert any(line.startswith("encoder ") and encoder in line for line in lines)
    assert any("CIDEr" in line for line in lines)
    assert any(line.startswith("! only 10 representative") for line in lines)


def test_the_worst_layers_come_first(reported):
    ratios = [layer.decibels for layer in worst_layers(reported.report.layers)]
    assert ratios == sorted(ratios)
