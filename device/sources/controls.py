"""What a camera is asked for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Controls:
    """What a camera is asked for: (width, height), frames a second, "continuous", "once" or a distance in dioptres as focus,
    exposure in microseconds, analogue gain; None, or an empty text, leave it to the camera."""

    size: tuple[int, int] = (640, 480)
    rate: float | None = None
    focus: str = ""
    exposure: int | None = None
    gain: float | None = None
