"""What counts as worse: of failures, frames a second and unsure frames."""

import random

from picaption.device.fleet.rollout.health import Health, Rules, complaint

FINE = Health(1.0, 0.0)
RULES = Rules()


def noisy(noise, count, fps=1.0, unsure=0.0):
    return [Health(noise.gauss(fps, 0.05), noise.gauss(unsure, 0.02)) for _ in range(count)]


def test_what_gets_worse_is_named():
    noise = random.Random(0)
    lacking = noisy(noise, 95)
    assert complaint(noisy(noise, 5), lacking, RULES, 1) == ""
    slow = complaint(noisy(noise, 20, fps=0.6), lacking, RULES, 3)
    assert slow.startswith("frames a second fell by 4")
    assert slow.endswith("compared with other devices")
    blind = complaint(noisy(noise, 20, unsure=0.5), lacking, RULES, 3)
    assert blind.startswith("the share of unsure frames grew by 5")


def test_crashes_are_compared_with_those_of_others():
    crashed = Health(has_crashed=True)
    # 5 of 5 beside 0 of 95: one way of C(100, 5), about 75 million.
    assert complaint([crashed] * 5, [FINE] * 95, RULES, 1) == (
        "5 of 5 that have it failed, and 0 of 95 others"
    )
    # As many everywhere: the power went, or the broker.
    assert complaint([crashed] * 5, [crashed] * 95, RULES, 1) == ""
    # 1 of 5: that may be chance, 5 in 100.
    assert complaint([crashed, *[FINE] * 4], [FINE] * 95, RULES, 1) == ""


def test_what_most_refuse_needs_no_test():
    refused = Health(has_refused=True)
    assert complaint([refused], [FINE], RULES, 9) == "1 of 1 that tried it cannot use it"
    assert complaint([refused, FINE], [FINE], RULES, 9) == ""


def test_a_difference_that_is_certain_and_small_stops_nothing():
    noise = random.Random(0)
    slower = [Health(noise.gauss(0.95, 0.001), 0.0) for _ in range(95)]
    assert complaint(slower, [FINE] * 95, RULES, 1) == ""


def test_a_later_look_has_less_to_spend():
    # 3 of 3 beside 0 of 40: one way of C(43, 3) = 12,341, so p = 8.1e-5. At the first look
    # 0.01 / 3 / 2 = 1.7e-3 is allowed, at the seventh 0.01 / 3 / 56 = 6.0e-5.
    crashed = [Health(has_crashed=True)] * 3
    assert complaint(crashed, [FINE] * 40, RULES, 1)
    assert not complaint(crashed, [FINE] * 40, RULES, 7)


def test_a_harmless_roll_out_is_seldom_stopped():
    noise = random.Random(1)

    def healths(count):
        return [
            Health(noise.lognormvariate(0, 0.3), noise.gauss(0, 0.2), noise.random() < 0.1)
            for _ in range(count)
        ]

    stops = sum(bool(complaint(healths(10), healths(190), RULES, 1)) for _ in range(300))
    assert stops <= 5  # Half of alpha, at the first look, is 1.5 of 300.
