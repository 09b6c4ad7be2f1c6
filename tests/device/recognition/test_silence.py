"""Frames that show nothing, made of the demo photographs, and those photographs themselves."""

from dataclasses import replace

import cv2
import numpy as np
import pytest

from picaption.device import Bundle, Recognizer, default_bundle
from picaption.device.bundle.metadata import Silence
from picaption.device.images import list_images, read_image, resize
from picaption.device.recognition.scene import SceneTracker
from picaption.device.recognition.silence import (
    NOTHING,
    TOO_BLURRED,
    TOO_DARK,
    Visibility,
    measure,
    reason_for_silence,
)
from picaption.device.recognition.stopwatch import Stopwatch
from tests.tiny import DEMO

SIDE = 224
#: Those of models/recipes/everyday.toml.
THRESHOLDS = Silence(36.0, 4.5, 0.13)
ALL_STAGES = ["preprocess", "encode", "classify", "caption", "total"]


def demo_photos():
    """Return all demo photographs as the encoder takes them, uint8 RGB, by name."""
    return {
        path.stem: resize(read_image(path), SIDE, SIDE, "stretch") for path in list_images(DEMO)
    }


def camera_frame(light, noise=0.0, seed=0):
    """Return what a camera makes of some light, float [H, W, 3]: with noise, and as a JPEG."""
    random = np.random.default_rng(seed)
    frame = np.clip(np.rint(light + random.normal(0, noise, light.shape)), 0, 255)
    data = cv2.imencode(".jpg", frame.astype(np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 70])[1]
    return cv2.imdecode(data, cv2.IMREAD_COLOR)


def plain(*colour):
    """Return an image of one colour, float [SIDE, SIDE, 3]."""
    return np.ones((SIDE, SIDE, 1)) * np.array(colour, float)


def slope():
    """Return a share of light that falls from the upper left to the lower right, 1 to 0.2."""
    rows, columns = np.mgrid[0 : 1 : SIDE * 1j, 0 : 1 : SIDE * 1j]
    return (1 - 0.4 * rows - 0.4 * columns)[..., None]


def reason(image):
    return reason_for_silence(measure(image), THRESHOLDS)


# --- the measure


def test_a_plain_image_has_its_brightness_and_nothing_else():
    visibility = measure(np.full((SIDE, SIDE, 3), 60, np.uint8))
    assert visibility == Visibility(60, 0, 0)


def test_an_even_slope_has_no_contrast():
    columns = np.arange(SIDE) // 16  # Steps of a coarse cell, each 10 grey levels brighter.
    image = np.broadcast_to((10 * columns + 20)[None, :, None], (SIDE, SIDE, 3)).astype(np.uint8)
    coarse_alone = measure(np.ascontiguousarray(image))
    assert coarse_alone.brightness == 150
    assert coarse_alone.contrast == 0


def test_the_contrast_is_that_of_the_coarse_cells_to_their_neighbours():
    # A chequerboard of coarse cells of 100 and 140: each differs from its four neighbours by 40,
    # so that the Laplacian is 160, and 160 / sqrt(20) = 35.8 without what counts as noise. On the
    # fine grid a cell has such an edge on no side, on one, or on two: of every 4 x 4 cells 4 have a
    # Laplacian of 0, 8 of 40 and 4 of 80, divided by sqrt(20).
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] // 16
    image = np.where((rows + columns) % 2, 140, 100).astype(np.uint8)
    fine = np.sqrt((8 * 40**2 + 4 * 80**2) / 16 / 20)
    visibility = measure(np.repeat(image[..., None], 3, axis=2))
    # The outermost cells of the fine grid have no Laplacian; they are of the kinds with one.
    assert visibility.contrast == pytest.approx(160 / np.sqrt(20) - 0.6 * fine, abs=0.2)
    assert visibility.brightness == 140


def test_noise_is_no_contrast():
    noisy = camera_frame(plain(90, 90, 90), noise=30)
    assert measure(noisy).contrast < 1.5


def test_an_image_of_any_size_can_be_measured():
    for shape in ((8, 8, 3), (32, 48, 3), (300, 200, 3)):
        assert measure(np.full(shape, 9, np.uint8)) == Visibility(9, 0, 0)


# --- the reasons


def test_the_demo_photographs_show_something_also_in_half_the_light_and_slightly_blurred():
    for name, photo in demo_photos().items():
        assert reason(photo) is None, name
        assert reason(camera_frame(0.5 * photo, noise=5)) is None, name
        assert reason(cv2.GaussianBlur(photo, (0, 0), 3)) is None, name


@pytest.mark.parametrize("noise", [0, 2, 6])
def test_nothing_can_be_told_in_the_dark(noise):
    for name, photo in demo_photos().items():
        for light in (0.0, 0.02, 0.05, 0.1):
            frame = camera_frame(light * photo, noise)
            assert reason(frame) == TOO_DARK, (name, light)


@pytest.mark.parametrize("noise", [0, 4, 20])
@pytest.mark.parametrize(
    "colour", [(128, 128, 128), (255, 255, 255), (90, 30, 20), (0, 0, 255), (20, 200, 90)]
)
def test_a_blank_or_covered_image_shows_nothing(colour, noise):
    for light in (1.0, slope()):
        assert reason(camera_frame(light * plain(*colour), noise)) in (NOTHING, TOO_DARK)


def test_hot_pixels_and_a_leak_of_light_under_the_lens_cap_are_nothing():
    random = np.random.default_rng(3)
    rows, columns = np.mgrid[0 : 1 : SIDE * 1j, 0 : 1 : SIDE * 1j]
    leak = 120 * np.exp(-((rows - 0.4) ** 2 + (columns - 1.1) ** 2) / 0.08)
    light = plain(12, 10, 14) + leak[..., None]
    for row, column in random.integers(0, SIDE, (40, 2)):
        light[row, column] = 255
    assert reason(camera_frame(light, noise=12)) == NOTHING


def test_a_lens_far_out_of_focus_is_too_blurred():
    for name, photo in demo_photos().items():
        assert reason(cv2.GaussianBlur(photo, (0, 0), 20)) in (TOO_BLURRED, NOTHING), name
    reasons = [reason(cv2.GaussianBlur(photo, (0, 0), 20)) for photo in demo_photos().values()]
    assert TOO_BLURRED in reasons


def test_a_small_thing_on_plain_ground_is_something_to_see():
    image = np.full((SIDE, SIDE, 3), 200, np.uint8)
    image[96:128, 80:144] = 60
    assert reason(image) is None


def test_each_threshold_has_its_reason_and_a_factor_raises_it():
    visibility = Visibility(40, 5, 0.15)
    assert reason_for_silence(visibility, Silence()) is None
    assert reason_for_silence(visibility, Silence(brightness=41)) == TOO_DARK
    assert reason_for_silence(visibility, Silence(contrast=5.1)) == NOTHING
    assert reason_for_silence(visibility, Silence(sharpness=0.16)) == TOO_BLURRED
    assert reason_for_silence(visibility, Silence(40, 5, 0.15)) is None
    assert reason_for_silence(visibility, Silence(40, 5, 0.15), 1.01) == TOO_DARK


# --- what is said then


class Counting(Recognizer):
    """A Recognizer that counts what it encodes."""

    encoded = 0

    def encode_prepared(self, prepared, stopwatch):
        self.encoded += 1
        return super().encode_prepared(prepared, stopwatch)


@pytest.fixture
def recognizer():
    recognizer = Counting(default_bundle(), threads=1)
    recognizer.model.metadata = replace(recognizer.model.metadata, silence=THRESHOLDS)
    return recognizer


def test_a_dark_frame_gets_no_caption_tag_or_class_and_costs_no_network(recognizer, photos):
    dark = (0.03 * photos["cat"]).astype(np.uint8)
    recognition = recognizer(dark, 7, 3.5, {"Lux": 0.1}, Stopwatch(queue=1.0, output=2.0))
    assert recognition.silence == TOO_DARK and recognizer.encoded == 0
    assert (recognition.caption, recognition.tags, recognition.classes) == (None, (), ())
    assert recognition.unsure
    assert (recognition.frame, recognition.captured_at) == (7, 3.5)
    assert recognition.camera == {"Lux": 0.1}
    bright = recognizer(photos["cat"], stopwatch=Stopwatch(queue=1.0, output=2.0))
    assert bright.silence is None and bright.caption
    assert list(recognition.timings) == list(bright.timings)
    assert {"queue", "names", *ALL_STAGES, "output"} == set(bright.timings)
    assert recognition.timings["encode"] < 1


def test_a_bundle_without_thresholds_says_something_about_every_image():
    bundle = Bundle(default_bundle(), threads=1)
    bundle.metadata = replace(bundle.metadata, silence=Silence())
    recognition = Recognizer(bundle)(np.zeros((40, 40, 3), np.uint8))
    assert recognition.silence is None and recognition.caption


def test_in_the_dark_the_caption_of_before_goes_and_the_scene_begins_anew(recognizer, photos):
    watch = SceneTracker(recognizer, smoothing=5.0)
    dark = np.zeros_like(photos["cat"])
    frames = [photos["cat"], photos["cat"], dark, dark, photos["cat"]]
    recognitions = [watch(frame) for frame in frames]
    assert [result.scene for result in recognitions] == [1, 1, 2, 2, 3]
    first, _, silent, _, last = recognitions
    assert silent.text == TOO_DARK and silent.classes == () and silent.tags == ()
    assert last.caption == first.caption and last.classes == first.classes
    assert recognizer.encoded == 3


def test_a_run_that_begins_in_the_dark_has_scenes_from_1(recognizer, photos):
    watch = SceneTracker(recognizer)
    dark = np.zeros_like(photos["cat"])
    assert [watch(frame).scene for frame in (dark, photos["cat"])] == [1, 2]


def test_at_the_edge_of_silence_nothing_flickers(recognizer, photos):
    photo = recognizer.prepare(photos["cat"]).copy()
    contrast = measure(photo).contrast
    watch = SceneTracker(recognizer)

    def silence_with(threshold):
        silence = Silence(contrast=threshold)
        recognizer.model.metadata = replace(recognizer.model.metadata, silence=silence)
        return watch(photo).silence

    assert silence_with(0.95 * contrast) is None
    assert silence_with(1.05 * contrast) == NOTHING
    assert silence_with(0.95 * contrast) == NOTHING  # 1.15 times that is above it.
    assert silence_with(0.8 * contrast) is None
    assert silence_with(0.95 * contrast) is None
