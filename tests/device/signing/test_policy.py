"""A process with public keys opens signed bundles only, by whatever way they come."""

import logging
import os
import shutil
import subprocess
import sys
from dataclasses import replace

import pytest

from picaption.device import default_bundle
from picaption.device.bundle.bundle import read_trusted
from picaption.device.config.settings import Config
from picaption.device.errors import PicaptionError
from picaption.device.live.pipeline import Pipeline
from picaption.device.signing.keys import KeyRing, make_private_key, public_key, write_ring
from picaption.device.signing.policy import (
    KEYS_VARIABLE,
    OWN_VARIABLE,
    need_signed_bundle,
    require_signatures,
)
from picaption.device.signing.signature import sign_file, signature_path
from picaption.device.teaching.live_bundle import live_bundle

pytest.importorskip("cryptography")


@pytest.fixture(autouse=True)
def untouched_environment(monkeypatch):
    """The environment is as it was after each test."""
    for name in (KEYS_VARIABLE, OWN_VARIABLE):
        monkeypatch.setenv(name, "")


@pytest.fixture
def private(tmp_path):
    """The private key whose ring is keys.json."""
    private = make_private_key()
    write_ring(tmp_path / "keys.json", KeyRing((public_key(private, "one"),)))
    return private


@pytest.fixture
def copy(tmp_path, bundle):
    """The path of a bundle without a signature."""
    return shutil.copy(bundle, tmp_path / "copy.tflite")


def test_only_what_is_signed_or_own_is_opened(tmp_path, private, copy):
    read_trusted(copy)
    taught = live_bundle(tmp_path / "classes")
    taught.parent.mkdir(parents=True)
    shutil.copy(copy, taught)
    require_signatures(str(tmp_path / "keys.json"), [tmp_path / "classes/.picaption"])
    with pytest.raises(PicaptionError, match="copy.tflite: it is not signed"):
        read_trusted(copy)
    read_trusted(taught)
    read_trusted(default_bundle())
    # A link out of the folder of taught bundles is no way in.
    taught.unlink()
    taught.symlink_to(copy)
    with pytest.raises(PicaptionError, match="it is not signed"):
        read_trusted(taught)
    sign_file(copy, private)
    read_trusted(copy)
    require_signatures("")
    signature_path(copy).unlink()
    read_trusted(copy)


def test_a_link_that_changes_meanwhile_is_no_way_in(tmp_path, private, copy):
    require_signatures(str(tmp_path / "keys.json"))
    link = tmp_path / "link.tflite"
    link.symlink_to(default_bundle())
    need_signed_bundle(default_bundle().read_bytes(), link, default_bundle())
    # Read while the link pointed to another file, and looked at while it points to the shipped one.
    with pytest.raises(PicaptionError, match="it is not signed"):
        need_signed_bundle(b"of another", link, default_bundle())


def test_children_open_signed_bundles_only(tmp_path, private, copy):
    require_signatures(str(tmp_path / "keys.json"))
    program = "import sys; from picaption.device import cli; cli.main(sys.argv[1:])"
    command = [sys.executable, "-c", program, "image", "--bundle", str(copy), "none.jpg"]
    child = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ))
    assert child.returncode == 2
    assert child.stderr.count("\n") == 1 and "copy.tflite: it is not signed" in child.stderr


def test_a_ring_that_cannot_be_read_lets_no_bundle_in(tmp_path, copy):
    with pytest.raises(PicaptionError, match="cannot read the public keys"):
        require_signatures(str(tmp_path / "none.json"))
    with pytest.raises(PicaptionError, match="cannot read the public keys"):
        read_trusted(copy)


def test_a_live_run_takes_no_unsigned_bundle(tmp_path, private, copy, bundle, caplog):
    folder = tmp_path / "bundles"
    folder.mkdir()
    shutil.copy(bundle, folder / "unsigned.tflite")
    config = Config(
        source="demo",
        quiet=True,
        bundle=str(copy),
        bundles=str(folder),
        public_keys=str(tmp_path / "keys.json"),
    )
    with pytest.raises(PicaptionError, match="copy.tflite: it is not signed"):
        Pipeline(config)
    sign_file(copy, private)
    pipeline = Pipeline(config)
    try:
        recognizer = pipeline.recognizer
        with caplog.at_level(logging.ERROR):
            # As Home Assistant chooses one.
            chosen = pipeline.find_bundles()["unsigned"]
            pipeline.change(replace(pipeline.config, bundle=chosen))
            assert "unsigned.tflite: it is not signed" in caplog.text
            # As SIGHUP reads a file again that was replaced.
            caplog.clear()
            data = bytearray(copy.read_bytes())
            data[-1] ^= 1
            copy.unlink()
            copy.write_bytes(data)
            pipeline.reload(config)
            assert "copy.tflite: it is not the file that was signed" in caplog.text
        assert pipeline.recognizer is recognizer and pipeline.config.bundle == str(copy)
    finally:
        pipeline.close()
