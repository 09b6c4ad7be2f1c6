"""Whether captions' confidence means something: calibration, and what it is worth to be silent.

A caption is clean if it names no object that its image does not show
(picaption.models.evaluation.object_hallucination). Of captions with confidence 0.8, 80 % are to be
clean. Showing the surest captions alone covers a share of the images at a risk, the share of those
shown that are not clean: El-Yaniv and Wiener, "On the Foundations of Noise-free Selective
Classification", JMLR 11, 2010; the area under the curve of risk over coverage is that of Geifman,
Uziel and El-Yaniv, "Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers", ICLR 2019.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .metrics import expected_calibration_error, percent

#: The share of captions shown that is to be clean.
CLEAN_SHARE = 0.95
#: Of equal width; captions are too few for more.
CALIBRATION_BINS = 10


@dataclass(frozen=True)
class RatedCaptions:
    """Captions with their confidence, and what is known of them.

    Attributes:
        confidences: float64 [N], 0 to 1; N is at least 1.
        is_clean: Which captions name no absent object, bool [N].
        threshold: The bundle's: captions of less confidence are shown as uncertain.
    """

    confidences: np.ndarray
    is_clean: np.ndarray
    threshold: float

    @property
    def shown(self) -> np.ndarray:
        """Which captions are shown without a doubt, bool [N]."""
        return self.confidences >= self.threshold


@dataclass(frozen=True)
class RiskCoverage:
    """What is shown, and how much of it is clean, from the surest caption on.

    Attributes:
        coverage: The shares of captions that can be shown, float64 [K], rising to 1. Captions of
            equal confidence are shown together.
        clean: The shares of those that are clean, float64 [K].
        thresholds: The lowest confidence of those, float64 [K].
    """

    coverage: np.ndarray
    clean: np.ndarray
    thresholds: np.ndarray


def risk_coverage(confidences: np.ndarray, is_clean: np.ndarray) -> RiskCoverage:
    """Return the RiskCoverage of N captions.

    Args:
        confidences: float [N], 0 to 1; N is at least 1.
        is_clean: bool [N].
    """
    order = np.argsort(-confidences, kind="stable")
    ranked = confidences[order]
    counts = np.arange(1, len(order) + 1)
    clean = np.cumsum(is_clean[order]) / counts
    is_last = np.append(ranked[1:] != ranked[:-1], True)
    return RiskCoverage(counts[is_last] / len(order), clean[is_last], ranked[is_last])


def area_under_risk(curve: RiskCoverage) -> float:
    """Return the mean risk over all coverages, 0 to 1: AURC, the smaller the better."""
    shares = np.diff(curve.coverage, prepend=0.0)
    return float(shares @ (1 - curve.clean))


def coverage_at(curve: RiskCoverage, clean_share: float) -> float:
    """Return the largest coverage, 0 to 1, at which `clean_share` of what is shown is clean."""
    reached = curve.coverage[curve.clean >= clean_share]
    return float(reached[-1]) if len(reached) else 0.0


def clean_among_surest(confidences: np.ndarray, is_clean: np.ndarray, share: float) -> float:
    """Return the share of clean captions, 0 to 1, among a `share` of all, the surest, at least one.

    Of captions of equal confidence that do not all belong to it, each counts in part.
    """
    count = max(1, round(share * len(confidences)))
    last = np.sort(confidences)[::-1][count - 1]
    above = confidences > last
    at = confidences == last
    clean = is_clean[above].sum() + (count - above.sum()) * is_clean[at].mean()
    return float(clean / count)


def confidence_figures(rated: RatedCaptions) -> dict[str, Any]:
    """Return the figures of captions' confidence, in per cent.

    Returns:
        `calibration_error`, expected; `AURC`, the area under the risk-coverage curve;
        `clean_of_better_half`, of the captions with more confidence than the others those that are
        clean; `coverage_at_95_clean`, how many can be shown if 95 % of those are to be clean;
        `shown`, those without a doubt, and `clean_of_shown`, None if there are none.
    """
    confidences = rated.confidences
    curve = risk_coverage(confidences, rated.is_clean)
    shown = rated.shown
    clean_of_shown = None
    if shown.any():
        clean_of_shown = percent(rated.is_clean[shown].mean())
    error = expected_calibration_error(confidences, rated.is_clean, CALIBRATION_BINS)
    better_half = clean_among_surest(confidences, rated.is_clean, 0.5)
    return {
        "calibration_error": percent(error),
        "AURC": percent(area_under_risk(curve)),
        "clean_of_better_half": percent(better_half),
        f"coverage_at_{100 * CLEAN_SHARE:.0f}_clean": percent(coverage_at(curve, CLEAN_SHARE)),
        "shown": percent(shown.mean()),
        "clean_of_shown": clean_of_shown,
    }
