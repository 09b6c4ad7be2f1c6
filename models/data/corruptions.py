"""Frames as a live camera spoils them: moved, noisy, too dark, or compressed too much.

Each takes RGB uint8 [height, width, 3] and a numpy Generator, and returns another picture of that shape.
"""

import cv2
import numpy as np

from picaption.device.images import encode_image


def motion_blur(image, random):
    """Return `image` as if the camera had moved by a twentieth of its width, at a random angle, while it was exposed."""
    size = max(3, image.shape[1] // 20) | 1
    angle, centre = random.uniform(0, np.pi), size // 2
    reach = np.array([np.cos(angle), np.sin(angle)]) * centre
    kernel = np.zeros((size, size), np.float32)
    ends = [tuple(int(round(centre + sign * each)) for each in reach) for sign in (-1, 1)]
    cv2.line(kernel, *ends, 1)
    return cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REFLECT)


def sensor_noise(image, random):
    """Return `image` with Gaussian noise of a tenth of the range: a small sensor at high gain."""
    return _noisy(image.astype(np.float32), 25.5, random)


def low_light(image, random):
    """Return `image` with a fifth of its light, and the noise that is left of a sensor's then."""
    return _noisy(image * np.float32(0.2), 5.0, random)


def jpeg(image, random):
    """Return `image` as it comes back from a JPEG of quality 20."""
    data = np.frombuffer(encode_image(image, ".jpg", 20), np.uint8)
    return cv2.cvtColor(cv2.imdecode(data, cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)


def _noisy(light, deviation, random):
    noise = random.normal(0, deviation, light.shape).astype(np.float32)
    return np.clip(np.rint(light + noise), 0, 255).astype(np.uint8)


#: By the name under which results are told.
CORRUPTIONS = {
    "motion blur": motion_blur,
    "sensor noise": sensor_noise,
    "low light": low_light,
    "JPEG 20": jpeg,
}
