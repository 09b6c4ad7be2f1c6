"""Published weights are fold_batch_norm by hand's reckoning, and nothing but tensors is read."""

import pickle

import numpy as np
import pytest

from picaption.device.errors import PicaptionError
from picaption.models.networks.import_efficientnet import (
    EPSILON,
    fold_batch_norm,
    main,
    read_tensors,
)


def test_batch_normalisation_is_folded_by_output_channel():
    kernel = np.arange(6, dtype=np.float32).reshape(2, 3, 1, 1)  # (out, in, height, width)
    tensors = {
        "_conv_stem.weight": kernel,
        "_bn0.weight": np.array([2.0, 3.0]),
        "_bn0.bias": np.array([1.0, 0.0]),
        "_bn0.running_mean": np.array([0.5, 1.0]),
        "_bn0.running_var": np.array([4.0, 9.0]) - EPSILON,
        "_fc.weight": np.ones((5, 2)),
        "_fc.bias": np.zeros(5),
    }
    arrays = fold_batch_norm(tensors)
    np.testing.assert_allclose(
        arrays["00_w"][:, 0, 0], [[0, 1, 2], [3, 4, 5]]
    )  # 2 / sqrt(4) and 3 / sqrt(9)
    np.testing.assert_allclose(arrays["00_b"], [0.5, -1.0])
    assert arrays["01_w"].shape == (5, 1, 1, 2) and sorted(arrays) == [
        "00_b",
        "00_w",
        "01_b",
        "01_w",
    ]


def test_what_is_no_tensor_is_refused(tmp_path):
    path = tmp_path / "weights.pth"
    path.write_bytes(pickle.dumps(print))
    with pytest.raises(PicaptionError, match="it holds a builtins.print"):
        read_tensors(path)


def test_a_file_that_is_no_weights_is_an_error_of_one_line(tmp_path, capsys):
    (tmp_path / "text.pth").write_text("[not weights]")
    with pytest.raises(SystemExit) as done:
        main([str(tmp_path / "text.pth"), str(tmp_path / "out.npz")])
    assert done.value.code == 2 and not (tmp_path / "out.npz").exists()
    assert capsys.readouterr().err.startswith("picaption: ")
