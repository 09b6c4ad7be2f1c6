"""Figures of confidence, worked out by hand."""

import numpy as np
import pytest

from picaption.models.evaluation.confidence_report import (
    RatedCaptions,
    area_under_risk,
    clean_among_surest,
    confidence_figures,
    coverage_at,
    risk_coverage,
)

CONFIDENCES = np.array([0.2, 0.9, 0.9, 0.6])
IS_CLEAN = np.array([False, True, False, True])


def test_the_curve_by_hand():
    curve = risk_coverage(CONFIDENCES, IS_CLEAN)
    # The two of 0.9 are shown together, one of them clean; then two of three, and two of four.
    assert curve.coverage.tolist() == [0.5, 0.75, 1.0]
    assert curve.clean.tolist() == [0.5, pytest.approx(2 / 3), 0.5]
    assert curve.thresholds.tolist() == [0.9, 0.6, 0.2]
    # Half at a risk of 1/2, a quarter at 1/3, a quarter at 1/2.
    assert area_under_risk(curve) == pytest.approx(0.25 + 1 / 12 + 0.125)


def test_the_largest_coverage_counts_where_the_curve_comes_back():
    curve = risk_coverage(np.array([0.9, 0.8, 0.7, 0.6]), np.array([True, False, True, False]))
    assert coverage_at(curve, 0.6) == 0.75
    assert coverage_at(curve, 1.0) == 0.25
    assert coverage_at(risk_coverage(CONFIDENCES, ~IS_CLEAN), 0.95) == 0.0


def test_of_equal_confidences_each_counts_in_part():
    # Two of four: 0.9 and 0.9, of which one is clean.
    assert clean_among_surest(CONFIDENCES, IS_CLEAN, 0.5) == 0.5
    # One of the two, half clean; and with another, (1 + 1) / 3.
    assert clean_among_surest(CONFIDENCES, IS_CLEAN, 0.25) == 0.5
    assert clean_among_surest(CONFIDENCES, IS_CLEAN, 0.75) == pytest.approx(2 / 3)
    assert clean_among_surest(CONFIDENCES, IS_CLEAN, 0.01) == 0.5


def test_the_figures_by_hand():
    figures = confidence_figures(RatedCaptions(CONFIDENCES, IS_CLEAN, 0.6))
    assert figures == {
        # Tenths: |0.2 - 0| + |1.8 - 1| + |0.6 - 1| of four.
        "calibration_error": 35.0,
        "AURC": 45.83,
        "clean_of_better_half": 50.0,
        "coverage_at_95_clean": 0.0,
        "shown": 75.0,
        "clean_of_shown": 66.67,
    }
    figures = confidence_figures(RatedCaptions(CONFIDENCES, IS_CLEAN, 0.95))
    assert figures["shown"] == 0.0 and figures["clean_of_shown"] is None
    figures = confidence_figures(RatedCaptions(np.ones(1), np.ones(1, bool), 1.0))
    assert list(figures.values()) == [0.0, 0.0, 100.0, 100.0, 100.0, 100.0]
