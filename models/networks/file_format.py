"""What kind of file a network of others' is in, told by its content; the name may say otherwise."""

import zipfile
from pathlib import Path

from picaption.device.errors import PicaptionError

#: The first bytes of HDF5 and of zip archives.
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_ZIP_MAGIC = b"PK\x03\x04"
#: Archive members that tell a Keras file, and one of PyTorch.
_KERAS_MEMBER = "config.json"
_PYTORCH_MEMBER = "data.pkl"
_SAVED_MODEL = "saved_model.pb"

_PYTORCH_ADVICE = (
    "a file of PyTorch: make a .tflite file of the network with ai-edge-torch, and give that"
)
#: What files of other kinds are, and what to do, by the name's ending.
_ADVICE_BY_SUFFIX = {
    ".onnx": "an ONNX file: make a .tflite file of the network with onnx2tf, and give that",
    ".pt": _PYTORCH_ADVICE,
    ".pth": _PYTORCH_ADVICE,
    ".pb": (
        "a TensorFlow graph: give the folder of a SavedModel, with saved_model.pb and variables "
        "inside"
    ),
    ".ckpt": "weights without a network: save the whole model with model.save",
    ".safetensors": "weights without a network: save the whole model in Keras, or as a .tflite",
}
#: What stands where a download went wrong, by the first bytes in small letters.
_ADVICE_BY_START = {
    b"version https://git-lfs": "a pointer of Git LFS: fetch the file with git lfs pull",
    b"<!doctype html": "a web page: download the file again",
    b"<html": "a web page: download the file again",
}


def keras_suffix(path: Path) -> str | None:
    """Return the ending by which Keras opens a network, whatever its file is called.

    Returns:
        ".keras", ".h5", or "" for the folder of a SavedModel; None for anything else.
    """
    if path.is_dir():
        return "" if (path / _SAVED_MODEL).exists() else None
    start = _read_start(path)
    if start.startswith(_HDF5_MAGIC):
        return ".h5"
    if not start.startswith(_ZIP_MAGIC):
        return None
    members = _member_names(path)
    if members is None:  # Cut short.
        return ".keras" if path.suffix.lower() not in _ADVICE_BY_SUFFIX else None
    return ".keras" if _KERAS_MEMBER in members else None


def unknown_file(path: Path) -> PicaptionError:
    """Return the error for a file or folder that is neither a .tflite file nor one of Keras."""
    if path.is_dir():
        return PicaptionError(
            f"{path}: no SavedModel: there is no {_SAVED_MODEL} here; name the folder that has it"
        )
    start = _read_start(path).lower().lstrip()
    advice = _ADVICE_BY_SUFFIX.get(path.suffix.lower())
    for beginning, meaning in _ADVICE_BY_START.items():
        if start.startswith(beginning):
            advice = meaning
    names = _member_names(path) or ()
    if any(name.rpartition("/")[2] == _PYTORCH_MEMBER for name in names):
        advice = _PYTORCH_ADVICE
    if not start:
        advice = "the file is empty; copy it again"
    if advice is None:
        advice = "neither a .tflite file nor one of Keras: it does not begin as one does"
    return PicaptionError(f"{path}: {advice}")


def _read_start(path: Path) -> bytes:
    """Return the first bytes of a file."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise PicaptionError(f"{path}: cannot read it: it is no file; check the path")
    try:
        with path.open("rb") as file:
            return file.read(64)
    except OSError as error:
        raise PicaptionError(f"{path}: cannot read it: {error.strerror}; check the path") from None


def _member_names(path: Path) -> list[str] | None:
    """Return the names of a zip archive's members; None for a file that is no whole archive."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return None
