"""Each rule advises on its symptom, and on no other."""

from dataclasses import replace

import pytest

from picaption.convert.options import Agreement
from picaption.convert.report.diagnostics import diagnose
from picaption.convert.report.figures import (
    CaptionVariety,
    EvaluationFigures,
    Latency,
    LayerOperator,
    OutsideOperator,
    Report,
    Representative,
)
from picaption.convert.report.layer_snr import LayerFigures

CLOSE = Agreement(features=0.01, words=0.0, classes=0.0, caption=1.0, top=1.0)
FINE = Report(
    precision="int8",
    weights="a scale a channel",
    runtime="ai-edge-litert",
    bounds=Agreement(features=0.05, words=0.08, classes=0.02, caption=0.0, top=0.0),
    representative=Representative(images=200, seed=1, held_out=50),
    agreement=CLOSE,
    beyond=(),
    name="tiny",
    sha256="",
    versions={},
    sizes={},
    layers=(
        LayerFigures(
            "encode", "stem", "CONV_2D", decibels=30.0, lost=5.0, operator=2, tensor="stem"
        ),
    ),
    operators={},
    outside_xnnpack=(),
    float_operators=(),
    multiply_adds={"encode": 1000},
    latency=Latency("ai-edge-litert", 1, {}),
)
GATE = LayerOperator("encode", "gate", "EXP")


def evaluation(before, after):
    """Return figures of a CIDEr that fell."""
    return EvaluationFigures({"CIDEr": before}, {"CIDEr": after}, left_out=0)


def test_no_problem_is_found():
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
            {"beyond": ("features",), "agreement": replace(CLOSE, features=0.08)},
            "its features differ by 0.08, more than 0.05",
            "fix the problems",
        ),
        (
            {"representative": Representative(20, 1, 50)},
            "only 20 representative pictures",
            "give 200 or more",
        ),
        (
            {"representative": Representative(200, 1, 4)},
            "only 4 pictures were held out",
            "give more pictures",
        ),
        (
            {
                "layers": (
                    LayerFigures("encode", "stem", "CONV_2D", 4.0, 1.0, 2, "stem"),
                    LayerFigures("encode", "head", "CONV_2D", 9.0, 30.0, 9, "head"),
                )
            },
            "2 layers have less than 10 dB, the worst stem (CONV_2D of encode) 4.0; among them, "
            "head (CONV_2D of encode) lost the most",
            "--precision int16",
        ),
        (
            {"agreement": replace(CLOSE, top=0.8)},
            "another in 20% of the held-out pictures",
            "worst layers",
        ),
        (
            {"captions": CaptionVariety(50, distinct=3, unfinished=0.0, repeating=0.0)},
            "50 held-out pictures get 3 different captions",
            "train the captioner longer",
        ),
        (
            {"captions": CaptionVariety(50, distinct=30, unfinished=62.0, repeating=0.0)},
            "62 % of captions end in an article, a preposition or a conjunction",
            "train the captioner longer",
        ),
        (
            {"captions": CaptionVariety(50, distinct=30, unfinished=0.0, repeating=98.0)},
            "98 % of captions repeat a pair of words",
            "train the captioner longer",
        ),
        (
            {"evaluation": evaluation(0.4, 0.4)},
            "the float model's CIDEr is 0.4: its captions have next to nothing in common",
            "train the captioner longer",
        ),
        ({"evaluation": evaluation(54.0, 50.0)}, "CIDEr fell from 54.0 to 50.0", "worst layers"),
        (
            {
                "outside_xnnpack": (
                    OutsideOperator("encode", "a", "CONV_2D", 500),
                    OutsideOperator("encode", "b", "CAST", 0),
                )
            },
            "50% of encode's multiply-adds run outside XNNPACK (CONV_2D)",
            "operators that XNNPACK has",
        ),
        (
            {
                "precision": "int16",
                "outside_xnnpack": (OutsideOperator("encode", "a", "CONV_2D", 500),),
            },
            "50% of encode's multiply-adds run outside XNNPACK (CONV_2D)",
            "no 16-bit kernels",
        ),
        (
            {"float_operators": (GATE,)},
            "1 operators stayed in floating point: gate (EXP)",
            "build the model without",
        ),
    ],
)
def test_a_symptom_has_a_fix(change, symptom, fix):
    (advice,) = diagnose(replace(FINE, **change))
    assert symptom in advice.symptom
    assert fix in advice.fix


def test_what_is_small_is_not_reported():
    report = replace(
        FINE,
        evaluation=evaluation(54.0, 53.5),
        outside_xnnpack=(OutsideOperator("encode", "a", "ADD", 40),),
        precision="float32",
        float_operators=(GATE,),
    )
    assert diagnose(report) == []
