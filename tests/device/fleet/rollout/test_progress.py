"""What a device does next, and what it notes on its disk."""

from dataclasses import replace

from picaption.device.fleet.rollout.manifest import ABORTED, BUNDLE, PAUSED, VERSION
from picaption.device.fleet.rollout.progress import (
    FAILED,
    FILE,
    TAKEN,
    Action,
    Progress,
    next_action,
    read_progress,
    withdrawn_artifact,
    write_progress,
)


def test_what_comes_next(manifest):
    nothing = Progress()
    assert next_action(manifest, nothing, "kitchen") is Action.TAKE
    assert next_action(replace(manifest, state=PAUSED), nothing, "kitchen") is Action.NOTHING
    assert next_action(replace(manifest, state=ABORTED), nothing, "kitchen") is Action.NOTHING
    # What was tried once, or taken, is not tried again; what was taken goes back.
    failed = Progress(id=manifest.id, state=FAILED)
    assert next_action(manifest, failed, "kitchen") is Action.NOTHING
    taken = Progress(id=manifest.id, state=TAKEN, bundle=manifest.id)
    assert next_action(manifest, taken, "kitchen") is Action.NOTHING
    aborted = replace(manifest, state=ABORTED)
    assert next_action(aborted, taken, "kitchen") is Action.GO_BACK
    assert withdrawn_artifact(aborted, taken) == BUNDLE


def test_who_was_away_goes_back_before_it_takes_the_next(manifest):
    away = Progress(id="0" * 16, state=TAKEN, bundle="0" * 16)
    following = replace(manifest, withdrawn=("0" * 16,))
    assert next_action(following, away, "kitchen") is Action.GO_BACK
    version = replace(away, bundle="", version="0" * 16)
    assert withdrawn_artifact(following, version) == VERSION
    back = replace(away, bundle="")
    assert next_action(following, back, "kitchen") is Action.TAKE


def test_it_is_noted_and_read(tmp_path):
    progress = Progress(7, "0" * 16, BUNDLE, TAKEN, "", "0" * 16, "1" * 16)
    write_progress(tmp_path / "new", progress)
    assert read_progress(tmp_path / "new") == progress


def test_a_note_that_is_none_is_no_progress(tmp_path):
    for text in ("", "[]", "{", '{"serial": "x"}', '{"id": "../x"}', '{"state": "x"}', '{"a": 1}'):
        (tmp_path / FILE).write_text(text)
        assert read_progress(tmp_path) == Progress()
    assert read_progress(tmp_path / "none") == Progress()
