"""Files of networks are told apart by what they begin with."""

import zipfile

import pytest

from picaption.models.networks.file_format import network_suffix, unknown_file


def test_what_keras_opens(tmp_path):
    (tmp_path / "network").write_bytes(b"\x89HDF\r\n\x1a\n and more")
    assert network_suffix(tmp_path / "network") == ".h5"
    with zipfile.ZipFile(tmp_path / "archive.bin", "w") as archive:
        archive.writestr("config.json", "{}")
    assert network_suffix(tmp_path / "archive.bin") == ".keras"
    (tmp_path / "cut.keras").write_bytes((tmp_path / "archive.bin").read_bytes()[:40])
    assert network_suffix(tmp_path / "cut.keras") == ".keras"
    assert network_suffix(tmp_path) is None
    (tmp_path / "saved_model.pb").touch()
    assert network_suffix(tmp_path) == ""


def test_networks_of_onnx_and_of_torch_export(tmp_path):
    # Version 9, then the producer's name, as protobuf has them.
    (tmp_path / "best.bin").write_bytes(b"\x08\x09\x12\x07pytorch")
    assert network_suffix(tmp_path / "best.bin") == ".onnx"
    with zipfile.ZipFile(tmp_path / "program", "w") as archive:
        archive.writestr("program/models/model.json", "{}")
    (tmp_path / "cut.pt2").write_bytes((tmp_path / "program").read_bytes()[:40])
    assert network_suffix(tmp_path / "cut.pt2") == ".pt2"
    assert network_suffix(tmp_path / "program") == ".pt2"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.ONNX", b"\x08\x07", "no ONNX network: it does not begin as one does; export it again"),
        ("a.pth", b"\x80\x02", "write it again with torch.export.save"),
        ("saved_model.pb", b"\x08\x01", "a TensorFlow graph: give the folder of a SavedModel"),
        ("a.h5", b"version https://git-lfs.github.com/spec/v1\n", "fetch the file with git lfs"),
        ("a.keras", b"<!DOCTYPE html><html>", "a web page: download the file again"),
        ("a.keras", b"", "the file is empty; copy it again"),
        ("a.tflite", b"no network", "no .tflite file, nor one of Keras, ONNX or PyTorch"),
    ],
)
def test_other_files_are_named_with_what_to_do(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    assert network_suffix(path) is None
    assert str(unknown_file(path)).startswith(f"{path}: ")
    assert message in str(unknown_file(path))


def test_an_archive_of_pytorch_by_its_content(tmp_path):
    with zipfile.ZipFile(tmp_path / "best", "w") as archive:
        archive.writestr("best/data.pkl", "")
    assert network_suffix(tmp_path / "best") is None
    assert "a file of PyTorch" in str(unknown_file(tmp_path / "best"))
