"""The two tests by which a roll-out is judged, with values worked out by hand."""

import random

import pytest

from picaption.device.fleet.rollout.significance import fisher_p, mann_whitney_p


def test_fishers_test_counts_the_ways():
    # The lady who tastes tea: 4 of 4 right, of 8 cups, is one way of 70; 3 or more are 16 + 1.
    assert fisher_p(4, 4, 0, 4) == pytest.approx(1 / 70)
    assert fisher_p(3, 4, 1, 4) == pytest.approx(17 / 70)
    assert fisher_p(0, 4, 0, 4) == 1.0
    # Without anyone to compare with, nothing can be said.
    assert fisher_p(5, 5, 0, 0) == 1.0


def test_few_values_are_counted_exactly():
    # All 3 below all 3: one way of 20. The second lowest way swaps 3 and 4: 2 of 20.
    assert mann_whitney_p([1, 2, 3], [4, 5, 6]) == pytest.approx(1 / 20)
    assert mann_whitney_p([1, 2, 4], [3, 5, 6]) == pytest.approx(2 / 20)
    assert mann_whitney_p([4, 5, 6], [1, 2, 3]) == 1.0
    # Ties share their ranks: 1 and the 2 of a pair are as low as two can be, in 2 ways of 6.
    assert mann_whitney_p([1, 2], [2, 3]) == pytest.approx(2 / 6)
    assert mann_whitney_p([1.0] * 5, [1.0] * 5) == 1.0


def test_many_values_are_approximated():
    # Ranks 1 to 25 of 50: U = 0, its mean 312.5, its variance 625 * 51 / 12 = 2656.25:
    # z = (0.5 - 312.5) / 51.54 = -6.054, whose tail is 7.1e-10.
    low = list(range(25))
    high = list(range(25, 50))
    assert mann_whitney_p(low, high) == pytest.approx(7.1e-10, rel=0.02)
    assert mann_whitney_p(high, low) == pytest.approx(1.0, abs=1e-6)
    assert mann_whitney_p([1.0] * 30, [1.0] * 30) == 1.0


def test_where_nothing_differs_a_small_chance_comes_seldom():
    noise = random.Random(0)

    def p():
        # Rounded, so that there are ties.
        values = [round(noise.gauss(1, 0.1), 2) for _ in range(60)]
        return mann_whitney_p(values[:10], values[10:])

    small = sum(p() < 0.05 for _ in range(400))
    assert 8 <= small <= 34  # 20 are expected, give or take three times 4.4.
