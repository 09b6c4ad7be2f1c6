"""Two one-sided tests of whether chance alone explains that one group is worse than another."""

import math
from collections.abc import Sequence

#: Up to so many pairs of values the U test counts every way in which they could have been dealt.
_EXACT_PAIRS = 400


def mann_whitney_p(low: Sequence[float], high: Sequence[float]) -> float:
    """Return the chance of ranks so low, or lower, if nothing made the groups differ.

    The U test (Mann and Whitney, Annals of Mathematical Statistics 18, 1947). Of few values every
    way is counted in which their ranks, ties sharing theirs, could have been dealt to the groups
    (Streitberg and Röhmel, Statistical Software Newsletter 12, 1986); of many it is the normal
    approximation, corrected for ties and for continuity.

    Args:
        low: The values that are suspected to be lower; one at least.
        high: The others; one at least.
    """
    doubled_ranks = _doubled_ranks([*low, *high])
    rank_sum = sum(doubled_ranks[: len(low)])
    if len(low) * len(high) <= _EXACT_PAIRS:
        return _exact_p(doubled_ranks, len(low), rank_sum)
    total = len(doubled_ranks)
    mean = len(low) * (total + 1) / 2
    # The sum over ties of t³ - t falls out of the ranks' own variance.
    variance_of_ranks = sum((rank / 2 - (total + 1) / 2) ** 2 for rank in doubled_ranks) / total
    variance = len(low) * len(high) / (total - 1) * variance_of_ranks
    if variance == 0:
        return 1.0
    z = (rank_sum / 2 + 0.5 - mean) / math.sqrt(variance)
    return 0.5 * math.erfc(-z / math.sqrt(2))


def fisher_p(failed: int, total: int, other_failed: int, other_total: int) -> float:
    """Return the chance of so many failures or more in the first group, if nothing made them.

    Fisher's exact test (Journal of the Royal Statistical Society 85, 1922).

    Args:
        failed: How many of the first group have failed.
        total: How many it has.
        other_failed: How many of the second group have failed.
        other_total: How many it has.
    """
    failures = failed + other_failed
    ways = sum(
        math.comb(total, count) * math.comb(other_total, failures - count)
        for count in range(failed, min(failures, total) + 1)
    )
    return ways / math.comb(total + other_total, failures)


def _doubled_ranks(values: Sequence[float]) -> list[int]:
    """Return twice the rank of each value, from 1; equal values share the mean of theirs."""
    order = sorted(range(len(values)), key=values.__getitem__)
    ranks = [0] * len(values)
    start = 0
    while start < len(order):
        end = start
        while end < len(order) and values[order[end]] == values[order[start]]:
            end += 1
        for index in order[start:end]:
            ranks[index] = start + 1 + end
        start = end
    return ranks


def _exact_p(doubled_ranks: Sequence[int], size: int, rank_sum: int) -> float:
    """Return the share of the groups of that size whose ranks sum to that much or less."""
    # ways[n][s]: of the ranks so far, how many groups of n sum to s.
    ways: list[dict[int, int]] = [{0: 1}, *({} for _ in range(size))]
    for rank in doubled_ranks:
        for count in range(size, 0, -1):
            for smaller_sum, number in ways[count - 1].items():
                if smaller_sum + rank <= rank_sum:
                    ways[count][smaller_sum + rank] = (
                        ways[count].get(smaller_sum + rank, 0) + number
                    )
    return sum(ways[size].values()) / math.comb(len(doubled_ranks), size)
