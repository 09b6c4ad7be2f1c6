"""Networks of PyTorch: programs that torch.export wrote, and modules in this process.

Either becomes an ONNX graph in memory, by PyTorch's own exporter. What came of it is held against
the scores that PyTorch computes.
"""

import os
import sys
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxscript  # noqa: F401  # PyTorch's exporter needs it: what is missing is named here.
import torch

from picaption.device.errors import PicaptionError
from picaption.device.images import quiet_stderr

from ..pixels import PixelScaling, mean_and_std
from .onnx_graph.load import OnnxNetwork, network_of_model

#: ONNX's version that networks are exported in: the first that has GELU by itself.
_OPSET = 20
#: Members of a program's archive that are objects in Python's pickle: a program that runs.
_PICKLED = ("custom_obj_", "opaque_obj_")
#: Makes torch.load take tensors alone, whatever its caller asks for.
_WEIGHTS_ONLY = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
#: The axes of an image.
_RANK = 4
#: The longest cause that an error quotes.
_QUOTED = 200


def load_exported(path: Path, output_name: str | None = None) -> OnnxNetwork:
    """Load a .pt2 file.

    Args:
        path: The file.
        output_name: Which of several outputs are the scores; None: the only one.

    Raises:
        PicaptionError: It is damaged, holds code, or is no network of images in three colours.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            names = [name.rpartition("/")[2] for name in archive.namelist()]
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise PicaptionError(
            f"{path}: the file is cut short or damaged, {error}: copy it again"
        ) from None
    if any(name.startswith(_PICKLED) for name in names):
        raise PicaptionError(
            f"{path}: it holds objects of Python, a program inside the file, which is not run: "
            "export a network of tensors alone"
        )
    _keep_triton_out()
    try:
        with _tensors_alone(), quiet_stderr():
            program = torch.export.load(path)
    except Exception as error:  # PyTorch raises whatever its parts do.
        raise PicaptionError(
            f"{path}: cannot load it as a program of torch.export: {_first_line(error)}; write it "
            "again with this version of PyTorch"
        ) from None
    return network_of_program(program, path, output_name)


def load_module(
    module: torch.nn.Module, name: str, size: int | None = None, output_name: str | None = None
) -> OnnxNetwork:
    """Trace a module for inference.

    Args:
        module: A classifier of images [1, 3, size, size].
        name: What errors call it.
        size: The side of its images; None: as a timm model's configuration says.
        output_name: As for load_exported.

    Raises:
        PicaptionError: It cannot be traced, or is no network of images in three colours.
    """
    config = timm_config(module)
    if size is None:
        size = int(config.get("input_size", (3, 0, 0))[1])
    if not size:
        raise PicaptionError(f"{name}: tell the side of its pictures with size")
    _keep_triton_out()
    was_training = module.training
    parameter = next(module.parameters(), torch.zeros(1))
    image = torch.zeros(1, 3, size, size, dtype=parameter.dtype, device=parameter.device)
    try:
        with quiet_stderr(), torch.no_grad():
            program = torch.export.export(module.eval(), (image,))
    except Exception as error:  # PyTorch raises whatever its parts, or the module's own code do.
        raise PicaptionError(
            f"{name}: torch.export cannot trace it: {_first_line(error)}"
        ) from None
    finally:
        module.train(was_training)
    network = network_of_program(program, Path(name), output_name)
    return replace(network, pixels=_timm_pixels(config), labels=_timm_labels(config))


def network_of_program(
    program: torch.export.ExportedProgram, path: Path, output_name: str | None
) -> OnnxNetwork:
    """Return a program as an OnnxNetwork whose own scores are those of PyTorch."""
    try:
        with quiet_stderr(), torch.no_grad():
            exported = torch.onnx.export(
                program, dynamo=True, opset_version=_OPSET, verbose=False, external_data=False
            )
            model = exported.model_proto
    except Exception as error:  # As above.
        raise PicaptionError(
            f"{path}: PyTorch cannot export it to ONNX: {_first_line(error)}"
        ) from None
    network = network_of_model(model, path, output_name)
    names = [output.name for output in model.graph.output]
    index = names.index(output_name) if output_name else 0
    shape = model.graph.input[0].type.tensor_type.shape
    has_channels_first = shape.dim[1].dim_value == 3
    run = program.module()
    dtype = next((tensor.dtype for tensor in program.state_dict.values()), torch.float32)

    def own_scores(image: np.ndarray) -> np.ndarray:
        pixels = torch.from_numpy(np.ascontiguousarray(image))
        if has_channels_first:
            pixels = pixels.permute(0, 3, 1, 2).contiguous()
        with torch.no_grad():
            outputs = run(pixels.to(dtype))
        flat = torch.utils._pytree.tree_leaves(outputs)
        scores = flat[index].float()
        if has_channels_first and scores.ndim == _RANK:
            scores = scores.permute(0, 2, 3, 1)
        return scores.numpy()

    return replace(network, own_scores=own_scores)


def timm_config(module: torch.nn.Module) -> Mapping[str, Any]:
    """Return the configuration that timm gives its models; {} for others."""
    config = getattr(module, "pretrained_cfg", None) or getattr(module, "default_cfg", None)
    return config if isinstance(config, Mapping) else {}


def _timm_pixels(config: Mapping[str, Any]) -> PixelScaling | None:
    """Return the scaling of pixels that a timm model was trained with."""
    if "mean" not in config or "std" not in config:
        return None
    return mean_and_std(config["mean"], config["std"], largest=1.0)


def _timm_labels(config: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the class names in a timm model's configuration."""
    return tuple(config.get("label_names") or ())


def _keep_triton_out() -> None:
    """Let PyTorch do without Triton, its compiler for GPUs, where it has not loaded it yet.

    Loaded after TensorFlow, it ends the process by a segmentation fault: both bring an LLVM.
    """
    if "triton" not in sys.modules:
        sys.modules["triton"] = None  # type: ignore[assignment]


@contextmanager
def _tensors_alone() -> Iterator[None]:
    """Let torch.load take tensors alone within the context."""
    before = os.environ.get(_WEIGHTS_ONLY)
    os.environ[_WEIGHTS_ONLY] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_WEIGHTS_ONLY]
        else:
            os.environ[_WEIGHTS_ONLY] = before


def _first_line(error: Exception) -> str:
    """Return the first line of an error that says something."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0][:_QUOTED] if lines else type(error).__name__
