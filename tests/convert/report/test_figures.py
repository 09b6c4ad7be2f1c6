"""The JSON form of a report."""

import json


def test_the_names_are_those_of_the_format(reported):
    values = reported.report.to_json()
    assert list(values) == [
        "precision",
        "weights",
        "runtime",
        "bounds",
        "representative",
        "agreement",
        "beyond",
        "format",
        "name",
        "sha256",
        "versions",
        "bytes",
        "layers",
        "operators",
        "elsewhere",
        "floating",
        "multiply_adds",
        "evaluation",
        "captions",
        "latency",
        "advice",
    ]
    assert values["format"] == 1
    assert list(values["representative"]) == ["pictures", "seed", "held_out"]
    assert list(values["agreement"]) == [
        *("features", "words", "classes", "caption", "top", "largest"),
    ]
    assert list(values["layers"][0]) == [
        "signature",
        "name",
        "kind",
        "decibels",
        "lost",
        "operator",
        "tensor",
    ]
    assert list(values["elsewhere"][0]) == ["signature", "layer", "kind", "multiply_adds"]
    assert list(values["latency"]) == ["runtime", "threads", "milliseconds"]
    assert list(values["latency"]["milliseconds"]["encode"]["bundle"]) == ["median", "p90"]
    assert list(values["advice"][0]) == ["symptom", "fix"]
    assert json.loads(json.dumps(values)) == values
