"""A version that is rolled out: the service asks, root looks for itself, takes it and goes back."""

import functools
import threading
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("cryptography")

from picaption.device.errors import PicaptionError
from picaption.device.flash.installer import UPDATE_UNIT
from picaption.device.flash.update import go_back, update
from picaption.device.fleet.rollout import version_order
from picaption.device.fleet.rollout.manifest import (
    ABORTED,
    RUNNING,
    VERSION,
    Manifest,
    sign_manifest,
)
from picaption.device.fleet.rollout.member import Member
from picaption.device.fleet.rollout.progress import FAILED, TAKEN, TAKING, WENT_BACK
from picaption.device.fleet.rollout.version_order import (
    ORDER,
    OUTCOME,
    Outcome,
    VersionTaker,
    obey,
    read_outcome,
    takes_versions,
)
from picaption.device.signing.keys import KeyRing, make_private_key, public_key, write_ring
from picaption.device.signing.signature import file_digest, sign_digest
from tests.device.fakes.servers import wait_for
from tests.device.flash.test_update import STEADY, home, restarts, settings, state  # noqa: F401

PRIVATE = make_private_key()
RING = KeyRing((public_key(PRIVATE, "one"),))


@pytest.fixture
def card(home, settings, tmp_path, monkeypatch):  # noqa: F811
    """A card that trusts the ring, where root does not wait long; returns what obeys once."""
    write_ring(tmp_path / "keys.json", RING)
    with open(settings, "a") as file:
        file.write(f'public_keys = "{tmp_path}/keys.json"\n')
    monkeypatch.setenv("RECORD", str(tmp_path / "record"))
    monkeypatch.setattr(version_order, "update", functools.partial(update, steady=STEADY))
    monkeypatch.setattr(version_order, "go_back", functools.partial(go_back, steady=STEADY))
    systemctl = tmp_path / "bin/systemctl"
    systemctl.write_text(systemctl.read_text().replace("-e current/works", "-e current/venv/bin"))
    (tmp_path / "state").mkdir()
    return functools.partial(obey, tmp_path / "state", home, settings)


def manifest_of(path, **changes):
    sha256, size = file_digest(path)
    values = {
        "id": sha256[:16],
        "serial": 5,
        "begun": 5,
        "state": RUNNING,
        "artifact": VERSION,
        "label": path.stem,
        "url": path.as_uri(),
        "sha256": sha256,
        "size": size,
        "signature": sign_digest(PRIVATE, sha256, size).decode(),
        "share": 100.0,
    }
    return Manifest(**(values | changes))


def start_step(member):
    thread = threading.Thread(target=member.step)
    thread.start()
    return thread


def test_a_version_is_taken_and_the_one_before_again(home, card, tmp_path, make_payload):  # noqa: F811
    folder = tmp_path / "state"
    taker = VersionTaker(folder, home)
    member = Member("kitchen", folder, lambda: RING, ("file",), {VERSION: taker})
    manifest = manifest_of(make_payload("2.0"))
    member.receive(sign_manifest(manifest, PRIVATE))
    thread = start_step(member)
    assert wait_for((folder / ORDER).exists, 20)
    assert member.progress.state == TAKING
    assert card() == Outcome(5, manifest.id, manifest.id, "")
    thread.join()
    assert (member.progress.state, member.progress.version) == (TAKEN, manifest.id)
    new = (home / "current").resolve().name
    assert new.startswith("2.0-") and state(home)[2] == [new, "old"]
    # Had root restarted the service meanwhile, it would learn of it then.
    again = Member("kitchen", folder, lambda: RING, ("file",), {VERSION: taker})
    again.resume()
    assert again.progress.state == TAKEN
    member.receive(sign_manifest(replace(manifest, serial=6, state=ABORTED), PRIVATE))
    thread = start_step(member)
    assert wait_for((folder / ORDER).exists, 20)
    card()
    thread.join()
    assert (member.progress.state, member.progress.version) == (WENT_BACK, "")
    assert state(home) == ("old", False, ["old"]) and restarts(home) == [new, "old"]
    assert not (home / "before").is_symlink()


def test_what_is_no_version_is_a_failure(home, card, tmp_path):  # noqa: F811
    folder = tmp_path / "state"
    payload = tmp_path / "no-payload.tar"
    payload.write_text("no payload")
    member = Member(
        "kitchen", folder, lambda: RING, ("file",), {VERSION: VersionTaker(folder, home)}
    )
    member.receive(sign_manifest(manifest_of(payload), PRIVATE))
    thread = start_step(member)
    assert wait_for((folder / ORDER).exists, 20)
    assert "not a payload of picaption" in card().problem
    thread.join()
    assert member.progress.state == FAILED and "not a payload" in member.progress.line
    assert state(home) == ("old", False, ["old"]) and restarts(home) == []


def test_root_trusts_nothing_that_the_service_has_put_there(home, card, tmp_path):  # noqa: F811
    folder = tmp_path / "state"
    payload = tmp_path / "payload.tar"
    payload.write_text("what was rolled out")
    manifest = manifest_of(payload)
    # Signed by another key.
    (folder / ORDER).write_bytes(sign_manifest(manifest, make_private_key()))
    with pytest.raises(PicaptionError, match="which is not trusted here"):
        card()
    assert not (folder / ORDER).exists()
    with pytest.raises(PicaptionError, match="order.json: cannot be read"):
        card()
    # Another file than the manifest's, though it is signed: an older version with known holes.
    older = folder / f"rollout-{manifest.id}"
    older.write_text("an older version")
    sha256, size = file_digest(older)
    Path(f"{older}.sig").write_bytes(sign_digest(PRIVATE, sha256, size))
    (folder / ORDER).write_bytes(sign_manifest(manifest, PRIVATE))
    assert "it is not the file that was rolled out; refused" in card().problem
    # An older manifest, signed, too.
    (folder / ORDER).write_bytes(sign_manifest(replace(manifest, serial=4), PRIVATE))
    with pytest.raises(PicaptionError, match="its serial 4 is older than 5; refused"):
        card()
    assert state(home) == ("old", False, ["old"]) and restarts(home) == []
    assert (home / OUTCOME).stat().st_mode & 0o777 == 0o644


def test_without_public_keys_root_obeys_nobody(home, settings, tmp_path):  # noqa: F811
    (tmp_path / ORDER).write_bytes(b"anything")
    with pytest.raises(PicaptionError, match="has no public_keys: no version is taken"):
        obey(tmp_path, home, settings)


def test_a_note_that_is_none_is_no_outcome(tmp_path):
    for text in ("", "[]", '{"serial": "x"}', '{"version": "../x"}', '{"a": 1}'):
        (tmp_path / OUTCOME).write_text(text)
        assert read_outcome(tmp_path) == Outcome()


def test_versions_are_taken_where_a_unit_sees_the_order_only(tmp_path):
    folder = tmp_path / "var/lib/picaption/fleet"
    assert not takes_versions(folder, tmp_path)
    (tmp_path / UPDATE_UNIT).parent.mkdir(parents=True)
    (tmp_path / UPDATE_UNIT).touch()
    assert takes_versions(folder, tmp_path) and not takes_versions(tmp_path, tmp_path)


def test_who_waits_for_root_gives_up(tmp_path, home):  # noqa: F811
    taker = VersionTaker(tmp_path, home, patience=0.0)
    with pytest.raises(PicaptionError, match="root has not answered in time"):
        taker.take(tmp_path / "rollout-x", b"an order")
    taker.go_back(None, b"an order")  # There is nothing to go back from.
