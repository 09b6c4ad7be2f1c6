"""How often nothing is said: of photographs, and of frames that show nothing made of them.

    python -m picaption.models.evaluation.silence BUNDLE FOLDER

Photographs should get a caption, those of the night too (a FOLDER of them alone tells). Frames of
the dark, of a lens cap, a finger or a wall should get none, with the noise of a camera at high gain
and as JPEGs; of a lens out of focus those that a person cannot tell either.
"""

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click
import cv2
import numpy as np

from picaption.device import cli
from picaption.device.atomic import read_text
from picaption.device.bundle.archive import read_bundle
from picaption.device.bundle.metadata import Metadata, Silence
from picaption.device.errors import PicaptionError
from picaption.device.images import encode_image, list_images, read_image, resize
from picaption.device.log import say
from picaption.device.recognition.silence import measure, reason_for_silence

#: Makes a frame, float [H, W, 3] of grey levels, of a photograph, uint8 [H, W, 3].
FrameMaker = Callable[[np.ndarray, np.random.Generator], np.ndarray]

#: Grey levels of a sensor's noise, from daylight to the highest gain.
_NOISE = (0.0, 2.0, 5.0, 10.0, 20.0)
#: How far demosaicing and denoising spread the noise, in pixels; 0: not at all.
_NOISE_SPREADS = (0.0, 0.7, 1.2)
_JPEG_QUALITIES = (30, 50, 70, 90)


def darkened(light: float) -> FrameMaker:
    """Return what takes that share of the light."""
    return lambda photo, random: light * photo.astype(float)


def blurred(deviation: float) -> FrameMaker:
    """Return what defocuses by a Gaussian of so many pixels of 224."""
    return lambda photo, random: cv2.GaussianBlur(
        photo.astype(np.float32), (0, 0), deviation * photo.shape[1] / 224
    )


def blank(photo: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return a wall, or the sky, of any colour and with light that falls off."""
    colour = random.choice([random.uniform(0, 255, 3), np.full(3, random.uniform(0, 255))])
    return _falling_light(photo.shape, random) * colour


def overexposed(photo: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return white."""
    return np.full(photo.shape, 255.0)


def finger(photo: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return a finger on the lens, red to brown, with skin out of focus."""
    red = random.uniform(30, 220)
    green = red * random.uniform(0.15, 0.6)
    colour = np.array([red, green, green * random.uniform(0.4, 1)])
    skin = _spread_noise(photo.shape[:2], random, photo.shape[1] / 16)[..., None]
    return _falling_light(photo.shape, random) * (1 + 0.04 * skin) * colour


def lens_cap(photo: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return what a sensor has under a cap: an offset, hot pixels, and maybe a leak of light."""
    frame = np.zeros(photo.shape) + random.uniform(0, 25) + random.uniform(0, 8, 3)
    rows, columns = np.mgrid[0 : 1 : photo.shape[0] * 1j, 0 : 1 : photo.shape[1] * 1j]
    leak = np.exp(-((rows - random.uniform()) ** 2 + (columns - 1.1) ** 2) / 0.08)
    frame += random.choice([0, 0, 120]) * leak[..., None]
    for _ in range(random.integers(0, 60)):
        row = random.integers(photo.shape[0])
        frame[row, random.integers(photo.shape[1]), random.integers(3)] = 255
    return frame


#: The kinds of frames, by name.
KINDS: dict[str, FrameMaker] = {
    "10 % of the light": darkened(0.1),
    "5 % of the light": darkened(0.05),
    "2 % of the light": darkened(0.02),
    "blank": blank,
    "overexposed": overexposed,
    "finger": finger,
    "lens cap": lens_cap,
    "blur 4": blurred(4),
    "blur 8": blurred(8),
    "blur 12": blurred(12),
    "blur 16": blurred(16),
    "blur 24": blurred(24),
}


def as_camera(frame: np.ndarray, random: np.random.Generator, deviation: float) -> np.ndarray:
    """Return a frame, float [H, W, 3], as a camera gives it: noisy, and through a JPEG.

    Args:
        frame: grey levels.
        random: draws noise and quality.
        deviation: of the noise, in grey levels.
    """
    spread = float(random.choice(_NOISE_SPREADS))
    noise = np.stack([_spread_noise(frame.shape[:2], random, spread) for _ in range(3)], axis=-1)
    pixels = np.clip(np.rint(frame + deviation * noise), 0, 255).astype(np.uint8)
    data = encode_image(pixels, ".jpg", int(random.choice(_JPEG_QUALITIES)))
    return cv2.cvtColor(
        cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB
    )


def _spread_noise(shape: tuple[int, ...], random: np.random.Generator, spread: float) -> np.ndarray:
    """Return noise, float [H, W], of deviation 1, blurred by so many pixels."""
    noise = random.normal(size=shape)
    if spread:
        noise = cv2.GaussianBlur(noise, (0, 0), spread)
        noise /= noise.std()
    return noise


def _falling_light(shape: tuple[int, ...], random: np.random.Generator) -> np.ndarray:
    """Return the share of light, float [H, W, 1], with a slope and darker corners."""
    rows, columns = np.mgrid[-1 : 1 : shape[0] * 1j, -1 : 1 : shape[1] * 1j]
    slope = random.uniform(-0.25, 0.25, 2)
    vignette = random.uniform(0, 0.2) * (rows**2 + columns**2)
    return (1 - vignette + slope[0] * rows + slope[1] * columns)[..., None]


def silence_shares(
    paths: Sequence[Path], metadata: Metadata, seed: int = 1
) -> tuple[dict[str, float], list[str]]:
    """Measure how often nothing is said.

    Args:
        paths: of photographs.
        metadata: of the bundle.
        seed: of what is drawn.

    Returns:
        The share of silent frames of each kind, "photographs" first; and the names of the
        photographs that are silent.
    """
    random = np.random.default_rng(seed)
    counts = dict.fromkeys(("photographs", *KINDS), 0)
    silent_names = []
    for path in paths:
        photo = _prepare(read_image(path), metadata)
        if _is_silent(photo, metadata.silence):
            counts["photographs"] += 1
            silent_names.append(path.name)
        for frame_name, make_frame in KINDS.items():
            # What is out of focus has enough light; the dark and the covered are at high gain.
            noise = 1.0 if frame_name.startswith("blur") else float(random.choice(_NOISE))
            frame = as_camera(make_frame(photo, random), random, noise)
            counts[frame_name] += _is_silent(frame, metadata.silence)
    return {frame_name: count / len(paths) for frame_name, count in counts.items()}, silent_names


def _prepare(image: np.ndarray, metadata: Metadata) -> np.ndarray:
    return resize(image, metadata.input.height, metadata.input.width, metadata.input.resize)


def _is_silent(image: np.ndarray, thresholds: Silence) -> bool:
    return reason_for_silence(measure(image), thresholds) is not None


@click.command()
@click.argument("bundle", type=cli.PathType(path_type=Path))
@click.argument("folder", type=cli.PathType(path_type=Path))
@click.option(
    "--names",
    type=cli.PathType(path_type=Path),
    help="File of pictures' names: only these, one a line.",
)
@click.option("--thresholds", type=float, nargs=3, help="Brightness, contrast and sharpness.")
def main(
    bundle: Path, folder: Path, names: Path | None, thresholds: tuple[float, float, float] | None
) -> None:
    """Print how often BUNDLE says nothing of the pictures in FOLDER."""
    metadata = read_bundle(bundle).metadata
    if thresholds:
        metadata = Metadata(metadata.name, input=metadata.input, silence=Silence(*thresholds))
    if metadata.silence == Silence():
        raise PicaptionError(f"{bundle} has no thresholds of silence; give some by --thresholds")
    paths = list_images(folder)
    if names:
        wanted = set(read_text(names).split())
        paths = [path for path in paths if path.name in wanted]
    if not paths:
        raise PicaptionError(f"none of the pictures that {names} names is in {folder}")
    shares, silent_names = silence_shares(paths, metadata)
    for frame_name, share in shares.items():
        say(f"{frame_name:20} {share:7.1%} of {len(paths)} silent")
    for name in silent_names:
        say(f"silent photograph: {name}")


if __name__ == "__main__":
    sys.exit(cli.main(command=main, name="picaption.models.evaluation.silence"))
