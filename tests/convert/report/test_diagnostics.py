"""Each rule tells of its symptom, and of no other."""

import copy

import pytest

from picaption.convert.report.diagnostics import diagnose

FINE = {
    "precision": "int8",
    "weights": "a scale a channel",
    "beyond": [],
    "floating": [],
    "elsewhere": [],
    "representative": {"pictures": 200, "held_out": 50},
    "multiply_adds": {"encode": 1000},
    "agreement": {"features": 0.01, "top": 1.0},
    "bounds": {"features": 0.05},
    "layers": [
        {"signature": "encode", "name": "stem", "kind": "CONV_2D", "decibels": 30.0, "lost": 5.0}
    ],
}


def test_nothing_is_off():
    assert diagnose(FINE) == []


@pytest.mark.parametrize(
    "change, symptom, fix",
    [
        (
            {"weights": "a scale a tensor"},
            "the weights of a layer share one scale",
            "without --per-tensor",
        ),
        (
            {"beyond": ["features"], "agreement": {"features": 0.08, "top": 1.0}},
            "its features differ by 0.08, more than 0.05",
            "mend",
        ),
        (
            {"representative": {"pictures": 20, "held_out": 50}},
            "only 20 representative pictures",
            "give 200 or more",
        ),
        (
            {"representative": {"pictures": 200, "held_out": 4}},
            "only 4 pictures were held out",
            "give more pictures",
        ),
        (
            {
                "layers": [
                    {
                        "signature": "encode",
                        "name": "stem",
                        "kind": "CONV_2D",
                        "decibels": 4.0,
                        "lost": 1.0,
                    },
                    {
                        "signature": "encode",
                        "name": "head",
                        "kind": "CONV_2D",
                        "decibels": 9.0,
                        "lost": 30.0,
                    },
                ]
            },
            "2 layers have less than 10 dB, the worst stem (CONV_2D of encode) 4.0; among them, head (CONV_2D of encode) lost the most",
            "--precision int16",
        ),
        (
            {"agreement": {"features": 0.01, "top": 0.8}},
            "another in 20% of the held-out pictures",
            "worst layers",
        ),
        (
            {"evaluation": {"float32": {"CIDEr": 54.0}, "bundle": {"CIDEr": 50.0}}},
            "CIDEr fell from 54.0 to 50.0",
            "worst layers",
        ),
        (
            {
                "elsewhere": [
                    {"signature": "encode", "layer": "a", "kind": "CONV_2D", "multiply_adds": 500},
                    {"signature": "encode", "layer": "b", "kind": "CAST", "multiply_adds": 0},
                ]
            },
            "50% of encode's multiply-adds run outside XNNPACK (CONV_2D)",
            "operators that XNNPACK has",
        ),
        (
            {"floating": [{"signature": "encode", "layer": "gate", "kind": "EXP"}]},
            "1 operators stayed in floating point: gate (EXP)",
            "build the model without",
        ),
    ],
)
def test_a_symptom_has_a_fix(change, symptom, fix):
    found = diagnose(copy.deepcopy(FINE) | change)
    assert len(found) == 1 and symptom in found[0]["symptom"] and fix in found[0]["fix"]


def test_what_is_small_is_not_told():
    assert (
        diagnose(
            FINE
            | {
                "evaluation": {"float32": {"CIDEr": 54.0}, "bundle": {"CIDEr": 53.5}},
                "elsewhere": [
                    {"signature": "encode", "layer": "a", "kind": "ADD", "multiply_adds": 40}
                ],
                "precision": "float32",
                "floating": [{"signature": "encode", "layer": "gate", "kind": "EXP"}],
            }
        )
        == []
    )
