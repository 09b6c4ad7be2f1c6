"""What a camera is asked for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Controls:
    """What a camera is asked for; None leaves it to the camera, and so does an empty `focus`.

    Attributes:
        size: (width, height).
        rate: Frames per second.
        focus: "continuous", "once" or a distance in dioptres (1 / metres).
        exposure: Exposure time in microseconds.
        gain: Analogue gain.
    """

    size: tuple[int, int] = (640, 480)
    rate: float | None = None
    focus: str = ""
    exposure: int | None = None
    gain: float | None = None


DEFAULT_CONTROLS = Controls()
