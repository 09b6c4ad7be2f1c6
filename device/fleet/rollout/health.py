"""Whether the devices that have something new are worse off than those that have not.

Three tests: of how many have failed (Fisher), and of frames a second and the share of unsure
frames, each beside the device's own before the roll-out (Mann and Whitney). Each gets a third of
the error that is allowed (Bonferroni). Whoever looks often errs often: the k-th look may spend
1 / (k (k + 1)) of it, which sums to all of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from .significance import fisher_p, mann_whitney_p

_TESTS = 3


@dataclass(frozen=True)
class Rules:
    """When a roll-out stops itself.

    Attributes:
        alpha: The chance that one that harms nothing is stopped by a test, at most.
        fps_loss: Frames a second that may be lost, as a share, whatever the test says.
        unsure_gain: What the share of unsure frames may grow by, likewise.
        failed_share: It also stops, without a test, if more than this share of the devices that
            tried it say that it cannot be used.
        soak_seconds: Seconds for which devices have it before more of them get it.
    """

    alpha: float = 0.01
    fps_loss: float = 0.1
    unsure_gain: float = 0.1
    failed_share: float = 0.5
    soak_seconds: float = 600.0


@dataclass(frozen=True)
class Health:
    """How a device is now beside how it was before; None: not known.

    Attributes:
        fps: The frames a second, as a share of those before.
        unsure: What the share of unsure frames has grown by.
        has_crashed: Whether it has restarted, or is gone, since.
        has_refused: Whether it says that what is rolled out cannot be used.
    """

    fps: float | None = None
    unsure: float | None = None
    has_crashed: bool = False
    has_refused: bool = False

    @property
    def has_failed(self) -> bool:
        """Whether it has crashed or refused."""
        return self.has_crashed or self.has_refused


def complaint(having: Sequence[Health], lacking: Sequence[Health], rules: Rules, look: int) -> str:
    """Return what is worse of those that have it; empty: nothing is.

    Args:
        having: Of the devices that have it, or have tried to.
        lacking: Of those that have not.
        rules: What counts as worse.
        look: The how-manieth look this is, from 1.
    """
    level = rules.alpha / _TESTS / (look * (look + 1))
    refused = sum(health.has_refused for health in having)
    if refused > rules.failed_share * len(having):
        return f"{refused} of {len(having)} that tried it cannot use it"
    failed = sum(health.has_failed for health in having)
    others_failed = sum(health.has_failed for health in lacking)
    if failed and fisher_p(failed, len(having), others_failed, len(lacking)) < level:
        return (
            f"{failed} of {len(having)} that have it failed, and {others_failed} of "
            f"{len(lacking)} others"
        )
    fps = [health.fps for health in having if health.fps is not None]
    others_fps = [health.fps for health in lacking if health.fps is not None]
    loss = _fall(fps, others_fps, rules.fps_loss, level)
    if loss:
        return f"frames a second fell by {loss:.0%} compared with other devices"
    certain = [-health.unsure for health in having if health.unsure is not None]
    others_certain = [-health.unsure for health in lacking if health.unsure is not None]
    gain = _fall(certain, others_certain, rules.unsure_gain, level)
    if gain:
        return f"the share of unsure frames grew by {gain:.0%} compared with other devices"
    return ""


def _fall(
    values: Sequence[float], controls: Sequence[float], allowed: float, level: float
) -> float | None:
    """Return how far values lie below the controls', if that is too far, and no chance."""
    if not values or not controls:
        return None
    fall = median(controls) - median(values)
    if fall <= allowed or mann_whitney_p(values, controls) >= level:
        return None
    return fall
