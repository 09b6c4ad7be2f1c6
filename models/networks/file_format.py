"""What kind of file a network of others' is in, told by its content; the name may say otherwise."""

import zipfile
from pathlib import Path

from picaption.device.errors import PicaptionError

#: The first bytes of HDF5 and of zip archives.
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_ZIP_MAGIC = b"PK\x03\x04"
#: The fields that may follow the version of an ONNX file, which is its first, by their protobuf
#: tags; and the oldest version. A SavedModel begins alike, with the version 1.
_ONNX_VERSION_TAG = 0x08
_ONNX_NEXT_TAGS = (0x12, 0x1A, 0x22, 0x28, 0x32, 0x3A, 0x42)
_OLDEST_ONNX = 3
#: Archive members that tell a Keras file, one of torch.export, and another of PyTorch.
_KERAS_MEMBER = "config.json"
_EXPORTED_MEMBER = "models/model.json"
_PYTORCH_MEMBER = "data.pkl"
_SAVED_MODEL = "saved_model.pb"

_PYTORCH_ADVICE = (
    "a file of PyTorch that holds weights, or a program of an older kind: load it in Python, and "
    "write it again with torch.export.save(torch.export.export(model.eval(), (image,)), "
    "'NAME.pt2')"
)
#: What files of other kinds are, and what to do, by the name's ending.
_ADVICE_BY_SUFFIX = {
    ".onnx": "no ONNX network: it does not begin as one does; export it again",
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


def network_suffix(path: Path) -> str | None:
    """Return the ending of a network's format, whatever its file is called.

    Returns:
        ".keras", ".h5", or "" for the folder of a SavedModel; ".onnx"; ".pt2" for a program that
        torch.export wrote; None for anything else.
    """
    if path.is_dir():
        return "" if (path / _SAVED_MODEL).exists() else None
    start = _read_start(path)
    if start.startswith(_HDF5_MAGIC):
        return ".h5"
    if _is_onnx(start):
        return ".onnx"
    if not start.startswith(_ZIP_MAGIC):
        return None
    members = _member_names(path)
    if members is None:  # Cut short.
        suffix = path.suffix.lower()
        if suffix == ".pt2":
            return suffix
        return ".keras" if suffix not in _ADVICE_BY_SUFFIX else None
    if any(name.partition("/")[2] == _EXPORTED_MEMBER for name in members):
        return ".pt2"
    return ".keras" if _KERAS_MEMBER in members else None


def _is_onnx(start: bytes) -> bool:
    """Return whether a file that begins so is an ONNX network."""
    return (
        len(start) > 2
        and start[0] == _ONNX_VERSION_TAG
        and _OLDEST_ONNX <= start[1] < 0x80
        and start[2] in _ONNX_NEXT_TAGS
    )


def unknown_file(path: Path) -> PicaptionError:
    """Return the error for a file or folder that is no network's in a format that is known."""
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
        advice = "no .tflite file, nor one of Keras, ONNX or PyTorch: it does not begin as one does"
    return PicaptionError(f"{path}: {advice}")


def _read_start(path: Path) -> bytes:
    """Return the first bytes of a file."""
    if path.exists() and not path.is_file() and not path.is_dir():
        raise PicaptionError(f"{path}: cannot read it: it is not a file; check the path")
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
