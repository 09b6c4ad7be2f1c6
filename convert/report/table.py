"""The figures of a conversion as lines of text for people."""

from collections.abc import Sequence
from operator import attrgetter

from picaption.models.evaluation.evaluate import figure_rows

from .diagnostics import describe_layer
from .figures import MixedFigures, Report
from .layer_snr import LayerFigures

#: Layers that are listed.
LISTED_LAYERS = 5


def table(report: Report) -> list[str]:
    """Return the figures as lines of text."""
    lines = [f"{name:28} {value}" for name, value in summary(report)]
    lines += ["", f"{'bytes':28} {'float32':>12} {'bundle':>12}"]
    for name, size in report.sizes.items():
        lines.append(f"{name:28} {size.float32:12,} {size.bundle:12,}")
    if report.evaluation is not None:
        lines += ["", f"{'quality':28} {'float32':>12} {'bundle':>12}"]
        for name, before, after in quality_rows(report):
            lines.append(f"{name:28} {before:>12} {after:>12}")
    lines += [
        "",
        f"{'signature':12} {'operators':>10} {'XNNPACK':>8} {'million MACs':>13} "
        f"{'float32 ms':>11} {'bundle ms':>10} {'p90':>8}",
    ]
    for cells in signature_rows(report):
        lines.append("{:12} {:>10} {:>8} {:>13} {:>11} {:>10} {:>8}".format(*cells))
    if report.layers:
        lines += ["", f"{'worst layers':44} {'decibels':>9} {'lost':>9}"]
        for layer in worst_layers(report.layers)[:LISTED_LAYERS]:
            lines.append(f"{describe_layer(layer):44} {layer.decibels:9} {layer.lost:9}")
    for advice in report.advice:
        lines += ["", f"! {advice.symptom}", f"  {advice.fix}"]
    return lines


def summary(report: Report) -> list[tuple[str, str]]:
    """Return what heads a report, as names and values."""
    agreement = report.agreement
    representative = report.representative
    float_bytes = sum(size.float32 for size in report.sizes.values())
    bundle_bytes = sum(size.bundle for size in report.sizes.values())
    figures = [
        ("bundle", "not written" if report.beyond else "written"),
        ("sha256", f"{report.sha256[:12]}..."),
        ("weights", report.weights),
        ("runs on", report.runtime),
        ("megabytes", f"{bundle_bytes / 1e6:.3f} of {float_bytes / 1e6:.3f}"),
        ("representative", f"{representative.images}, seed {representative.seed}"),
        ("held out", str(representative.held_out)),
        ("features, 1 - cosine", f"{agreement.features:.5f}"),
    ]
    if "next_word" in report.operators:
        figures += [
            ("nats a word", f"{agreement.words:.5f}"),
            ("the very same caption", f"{agreement.caption:.0%}"),
        ]
    if "classify" in report.operators:
        figures += [
            ("class scores differ by", f"{agreement.classes:.5f}"),
            ("the same likeliest class", f"{agreement.top:.0%}"),
        ]
    if report.mixed is not None:
        figures += mixed_rows(report.mixed)
    return figures


def mixed_rows(mixed: MixedFigures) -> list[tuple[str, str]]:
    """Return what layers in floating point win and cost, as names and values."""
    outcome = mixed.outcome
    return [
        ("in floating point", f"{outcome.operators} of {outcome.all_operators} operators"),
        ("points lost", f"{outcome.lost_mixed:g}, all in 8 bits {outcome.lost:g}"),
        (
            "graph, megabytes",
            f"{outcome.bytes / 1e6:.3f}, all in 8 bits {outcome.bytes_int8 / 1e6:.3f}",
        ),
        (
            "encoder, milliseconds",
            f"{mixed.milliseconds.median:.3f}, all in 8 bits {mixed.milliseconds_int8.median:.3f}",
        ),
    ]


def quality_rows(report: Report) -> list[tuple[str, str, str]]:
    """Return (score, float32, bundle) texts of what both models were measured by."""
    if report.evaluation is None:
        return []
    after = dict(figure_rows(report.evaluation.bundle))
    return [(name, value, after[name]) for name, value in figure_rows(report.evaluation.float32)]


def signature_rows(report: Report) -> list[tuple[object, ...]]:
    """Return what each signature costs.

    The columns: name, operators, those in XNNPACK, million multiply-adds, milliseconds in float32,
    in the bundle, and the bundle's 90th percentile.
    """
    lines: list[tuple[object, ...]] = []
    for name, latency in report.latency.milliseconds.items():
        counts = report.operators[name].values()
        lines.append(
            (
                name,
                sum(count.all for count in counts),
                sum(count.xnnpack for count in counts),
                f"{report.multiply_adds[name] / 1e6:.3f}",
                f"{latency.float32.median:.3f}",
                f"{latency.bundle.median:.3f}",
                f"{latency.bundle.p90:.3f}",
            )
        )
    return lines


def worst_layers(layers: Sequence[LayerFigures]) -> list[LayerFigures]:
    """Return layers with the lowest signal-to-noise ratio first."""
    return sorted(layers, key=attrgetter("decibels"))
