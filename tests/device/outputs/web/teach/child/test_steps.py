"""The steps that can be taken back: so many, and what they hold on to."""

import pytest

from picaption.device.outputs.web.teach.child.steps import Move, Step, Steps, count_bytes


@pytest.fixture
def trash(tmp_path):
    folder = tmp_path / "trash"
    folder.mkdir()
    return folder


def deletion(trash, name, size=10):
    """Return the step that has put a file of that size into the trash."""
    (trash / name).write_bytes(bytes(size))
    return Step(f"delete {name}", [Move(trash.parent / name, trash / name)])


def test_the_oldest_are_forgotten_and_what_they_deleted(trash):
    steps = Steps(trash, max_steps=2)
    for name in "abc":
        steps.push(deletion(trash, name))
    assert sorted(path.name for path in trash.iterdir()) == ["b", "c"]
    assert [steps.pop().text, steps.pop().text, steps.pop()] == ["delete c", "delete b", None]


def test_the_trash_is_bounded_and_the_last_step_stays(trash):
    steps = Steps(trash, max_bytes=25)
    for name in "abc":
        steps.push(deletion(trash, name))
    assert sorted(path.name for path in trash.iterdir()) == ["b", "c"]
    steps.push(deletion(trash, "d", 100))
    assert [path.name for path in trash.iterdir()] == ["d"] and steps.last.text == "delete d"
    steps.clear()
    assert list(trash.iterdir()) == [] and steps.last is None


def test_the_pictures_of_one_take_are_one_step(trash):
    steps = Steps(trash)
    for number in range(3):
        steps.push(Step("add to cat", [Move(None, trash.parent / f"{number}")], "press 1"))
    steps.push(Step("add to cat", [Move(None, trash.parent / "3")], "press 2"))
    steps.push(Step("add to cat"))  # What has moved nothing is no step.
    assert [len(steps.pop().moves), len(steps.pop().moves), steps.pop()] == [1, 3, None]


def test_bytes_of_a_file_and_of_a_folder(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(bytes(7))
    (tmp_path / "c").write_bytes(bytes(5))
    assert count_bytes(tmp_path / "a") >= 7 and count_bytes(tmp_path / "c") == 5
    assert count_bytes(tmp_path / "absent") == 0
