"""A key, and roll-outs of small files that fake boards take for bundles."""

import pytest

pytest.importorskip("cryptography")

from picaption.device.fleet.rollout.health import Rules
from picaption.device.fleet.rollout.manifest import BUNDLE, RUNNING, Manifest
from picaption.device.signing.keys import KeyRing, make_private_key, public_key
from picaption.device.signing.signature import file_digest, sign_digest


@pytest.fixture(scope="session")
def private():
    return make_private_key()


@pytest.fixture(scope="session")
def ring(private):
    return KeyRing((public_key(private, "one"),))


@pytest.fixture
def manifest_of(private):
    """Returns what makes the manifest of a file, for all devices."""

    def make(path, **changes):
        sha256, size = file_digest(path)
        values = {
            "id": sha256[:16],
            "serial": 1,
            "begun": 1,
            "state": RUNNING,
            "artifact": BUNDLE,
            "label": path.stem,
            "url": path.as_uri(),
            "sha256": sha256,
            "size": size,
            "signature": sign_digest(private, sha256, size).decode(),
            "share": 100.0,
            "rules": Rules(soak_seconds=0.0),
        }
        return Manifest(**(values | changes))

    return make


@pytest.fixture
def manifest(tmp_path, manifest_of):
    """A roll-out of a good bundle to all."""
    path = tmp_path / "good.tflite"
    path.write_bytes(b"a good bundle")
    return manifest_of(path)
