"""A device that takes part: what it takes, refuses, tries again, and goes back to."""

from dataclasses import replace

import pytest

from picaption.device.errors import PicaptionError
from picaption.device.fleet.rollout import member as member_module
from picaption.device.fleet.rollout.manifest import ABORTED, BUNDLE, VERSION, sign_manifest
from picaption.device.fleet.rollout.member import Member
from picaption.device.fleet.rollout.progress import (
    FAILED,
    FILE,
    SKIPPED,
    TAKEN,
    TAKING,
    WAITING,
    WENT_BACK,
)
from picaption.device.signing.keys import KeyRing, make_private_key, with_key, without_key
from tools.fleet.devices import FakeBoard


def member(tmp_path, ring, board, schemes=("file",), **options):
    return Member(
        "kitchen", tmp_path / "kitchen", lambda: ring, schemes, {BUNDLE: board}, **options
    )


def test_a_device_takes_what_is_signed_and_goes_back(tmp_path, ring, private, manifest):
    board = FakeBoard()
    device = member(tmp_path, ring, board)
    assert device.progress.state == WAITING
    device.receive(sign_manifest(manifest, private))
    assert device.step() and board.bundle == "a good bundle"
    assert (device.progress.state, device.progress.id) == (TAKEN, manifest.id)
    assert not device.step()
    # After a restart it has it still; and an abort that it has missed reaches it then.
    board = FakeBoard()
    device = member(tmp_path, ring, board)
    device.resume()
    assert board.bundle == "a good bundle"
    device.receive(sign_manifest(replace(manifest, serial=2, state=ABORTED), private))
    assert device.step() and board.bundle == "shipped" and device.progress.state == WENT_BACK
    # An older manifest, sent once more, changes nothing.
    device.receive(sign_manifest(manifest, private))
    device.step()
    assert board.bundle == "shipped" and device.progress.state == WENT_BACK
    assert [path.name for path in (tmp_path / "kitchen").iterdir()] == [FILE]


def test_it_goes_back_to_what_was_rolled_out_before(tmp_path, ring, private, manifest, manifest_of):
    board = FakeBoard()
    device = member(tmp_path, ring, board)
    device.receive(sign_manifest(manifest, private))
    device.step()
    path = tmp_path / "new.tflite"
    path.write_text("a newer bundle")
    newer = manifest_of(path, serial=2)
    device.receive(sign_manifest(newer, private))
    assert device.step() and board.bundle == "a newer bundle"
    device.receive(sign_manifest(replace(newer, serial=3, state=ABORTED), private))
    assert device.step() and board.bundle == "a good bundle"
    assert device.progress.bundle == manifest.id and device.progress.id == newer.id
    device = member(tmp_path, ring, FakeBoard())
    device.resume()
    assert device.progress.bundle == manifest.id


def test_what_a_device_does_not_take(tmp_path, ring, private, manifest, caplog):
    board = FakeBoard()
    device = member(tmp_path, ring, board)
    device.receive(sign_manifest(manifest, make_private_key()))
    device.receive(b"\xff" * 100)
    device.receive(b"")
    assert not device.step() and "which is not trusted here" in caplog.text
    # A scheme that the settings do not allow.
    strict = member(tmp_path / "strict", ring, board, ("https",))
    strict.receive(sign_manifest(manifest, private))
    strict.step()
    assert strict.progress.state == FAILED and "only https is taken here" in strict.progress.line
    # A kind that nothing here uses.
    device.receive(sign_manifest(replace(manifest, artifact=VERSION), private))
    device.step()
    assert device.progress.state == SKIPPED and "takes no version" in device.progress.line
    # Another file than the manifest's, of the same size.
    device = member(tmp_path / "other", ring, board)
    (tmp_path / "good.tflite").write_bytes(b"a evil bundle")
    device.receive(sign_manifest(manifest, private))
    device.step()
    assert device.progress.state == FAILED
    assert "it is not the file that was rolled out: it was altered" in device.progress.line
    assert board.bundle == "shipped"


def test_a_manifest_cannot_bring_what_another_key_has_signed(tmp_path, private, ring, manifest):
    other = make_private_key()
    from picaption.device.signing.keys import public_key

    both = with_key(ring, public_key(other, "two"))
    revoked = without_key(both, both.keys[0].id)
    device = member(tmp_path, revoked, FakeBoard())
    # Its manifest is signed by the key that holds, its file by the one that was revoked.
    device.receive(sign_manifest(manifest, other))
    device.step()
    assert device.progress.state == FAILED and "was revoked on" in device.progress.line


def test_a_bundle_that_cannot_be_used_leaves_the_one_before(tmp_path, ring, private, manifest_of):
    path = tmp_path / "bad.tflite"
    path.write_text("a broken bundle")
    board = FakeBoard()
    device = member(tmp_path, ring, board)
    device.receive(sign_manifest(manifest_of(path), private))
    assert device.step() and board.bundle == "shipped"
    assert device.progress.state == FAILED and "cannot be used here" in device.progress.line


def test_a_trial_that_ended_the_device_is_not_tried_twice(tmp_path, ring, private, manifest):
    class DeadlyBoard(FakeBoard):
        def take(self, path, order):
            raise SystemExit

    device = member(tmp_path, ring, DeadlyBoard())
    device.receive(sign_manifest(manifest, private))
    with pytest.raises(SystemExit):
        device.step()
    assert f'"state":"{TAKING}"' in (tmp_path / "kitchen" / FILE).read_text()
    board = FakeBoard()
    device = member(tmp_path, ring, board)
    device.resume()
    device.receive(sign_manifest(manifest, private))
    assert not device.step() and board.bundle == "shipped"
    assert device.progress.state == FAILED and "ended while it tried" in device.progress.line


def test_what_cannot_be_fetched_now_is_tried_again(tmp_path, ring, private, manifest):
    now = [0.0]
    device = member(tmp_path, ring, FakeBoard(), clock=lambda: now[0])
    source = tmp_path / "good.tflite"
    content = source.read_bytes()
    source.unlink()
    device.receive(sign_manifest(manifest, private))
    assert not device.step() and device.progress.id == ""
    source.write_bytes(content)
    now[0] += member_module.RETRY_SECONDS - 1
    assert not device.step()
    now[0] += 2
    assert device.step() and device.progress.state == TAKEN


def test_it_is_not_tried_for_ever(tmp_path, ring, private, manifest):
    now = [0.0]
    device = member(tmp_path, ring, FakeBoard(), clock=lambda: now[0])
    (tmp_path / "good.tflite").unlink()
    device.receive(sign_manifest(manifest, private))
    for _ in range(member_module.FETCH_TRIES):
        assert device.progress.state == WAITING
        device.step()
        now[0] += 10_000
    assert device.progress.state == FAILED and "cannot be fetched" in device.progress.line


def test_a_folder_that_cannot_be_written_is_named(tmp_path, ring, private, manifest):
    (tmp_path / "kitchen").write_text("a file")
    device = member(tmp_path, ring, FakeBoard())
    device.receive(sign_manifest(manifest, private))
    with pytest.raises(PicaptionError, match="kitchen: cannot be written: .*; set fleet_folder"):
        device.step()


def test_without_keys_nothing_is_taken(tmp_path, private, manifest, caplog):
    device = member(tmp_path, KeyRing(()), FakeBoard())
    device.receive(sign_manifest(manifest, private))
    assert not device.step() and "which is not trusted here" in caplog.text
