"""Frames as a live camera corrupts them: moved, noisy, too dark, or compressed too much.

Each function takes RGB uint8 [height, width, 3] and a numpy Generator, and returns another image
of that shape.
"""

from collections.abc import Callable

import cv2
import numpy as np

from picaption.device.images import encode_image

Corruption = Callable[[np.ndarray, np.random.Generator], np.ndarray]

#: A tenth of the range: a small sensor at high gain.
_SENSOR_NOISE = 25.5
#: The share of the light, and the sensor's noise at that light.
_LOW_LIGHT = 0.2
_LOW_LIGHT_NOISE = 5.0
_JPEG_QUALITY = 20


def motion_blur(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Blur as by a camera that moves by a twentieth of the width, at a random angle."""
    size = max(3, image.shape[1] // 20) | 1
    angle = random.uniform(0, np.pi)
    centre = size // 2
    reach = np.array([np.cos(angle), np.sin(angle)]) * centre
    start, end = (tuple(int(round(centre + sign * offset)) for offset in reach) for sign in (-1, 1))
    kernel = np.zeros((size, size), np.float32)
    cv2.line(kernel, start, end, 1)
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT)


def sensor_noise(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Add Gaussian noise of a tenth of the range."""
    return _add_noise(image.astype(np.float32), _SENSOR_NOISE, random)


def low_light(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Take a fifth of the light, with the noise of a sensor at that light."""
    return _add_noise(image * np.float32(_LOW_LIGHT), _LOW_LIGHT_NOISE, random)


def jpeg(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Compress to a JPEG of quality 20 and back."""
    data = np.frombuffer(encode_image(image, ".jpg", _JPEG_QUALITY), np.uint8)
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def _add_noise(light: np.ndarray, deviation: float, random: np.random.Generator) -> np.ndarray:
    noise = random.normal(0, deviation, light.shape).astype(np.float32)
    return np.clip(np.rint(light + noise), 0, 255).astype(np.uint8)


#: By the name in results.
CORRUPTIONS: dict[str, Corruption] = {
    "motion blur": motion_blur,
    "sensor noise": sensor_noise,
    "low light": low_light,
    "JPEG 20": jpeg,
}
