"""How often nothing is said, on the demo photographs."""

import numpy as np
import pytest

from picaption.device.bundle.metadata import Input, Metadata, Silence
from picaption.device.errors import PicaptionError
from picaption.device.images import list_images
from picaption.models.evaluation.silence import KINDS, as_camera, main, silence_shares
from tests.tiny import DEMO, TINY_BUNDLE


def metadata(*thresholds):
    return Metadata("x", input=Input(224, 224), silence=Silence(*thresholds))


def test_photographs_are_told_and_dark_blank_or_covered_frames_are_not():
    shares, silent_names = silence_shares(list_images(DEMO)[:4], metadata(36, 4.5, 0.13))
    assert list(shares) == ["photographs", *KINDS]
    assert shares["photographs"] == 0 and silent_names == []
    for kind in ("5 % of the light", "2 % of the light", "blank", "overexposed", "finger"):
        assert shares[kind] == 1, kind
    assert shares["lens cap"] == 1 and shares["blur 24"] == 1 and shares["blur 4"] == 0


def test_silent_photographs_are_named():
    paths = list_images(DEMO)[:2]
    shares, silent_names = silence_shares(paths, metadata(255, 0, 0))
    assert shares["photographs"] == len(silent_names) / 2
    assert set(silent_names) <= {path.name for path in paths}


def test_a_camera_adds_noise_of_that_deviation():
    frame = as_camera(np.full((64, 64, 3), 128.0), np.random.default_rng(0), 0.0)
    assert np.abs(frame.astype(int) - 128).max() <= 1
    noisy = as_camera(np.full((64, 64, 3), 128.0), np.random.default_rng(0), 20.0)
    assert 5 < noisy.std() < 22


def test_a_bundle_without_thresholds_has_nothing_to_measure():
    with pytest.raises(PicaptionError, match="has no thresholds of silence"):
        main.main([str(TINY_BUNDLE), str(DEMO)], standalone_mode=False)


def test_the_command_prints_the_shares(capsys):
    arguments = [str(TINY_BUNDLE), str(DEMO), "--thresholds", "0", "300", "0"]
    main.main(arguments, standalone_mode=False)
    count = len(list_images(DEMO))
    assert f"photographs           100.0% of {count} silent" in capsys.readouterr().out
