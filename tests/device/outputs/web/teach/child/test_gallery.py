"""The class folders: what is found, and that nothing else is touched."""

import os

import pytest

from picaption.device.outputs.web.api.exchange import ApiError
from picaption.device.outputs.web.teach.child import gallery as module
from picaption.device.outputs.web.teach.child.gallery import NONE, Gallery, check_label


def fill(folder, **classes):
    """Write files of these contents into class folders."""
    for label, contents in classes.items():
        (folder / label).mkdir()
        for number, content in enumerate(contents):
            (folder / label / f"{number}.jpg").write_bytes(content)


def names(album):
    return {label: [image.path.name for image in images] for label, images in album.classes.items()}


def test_what_is_a_class_and_what_is_not(tmp_path):
    fill(tmp_path, cat=[b"1", b"2"], dog=[b"3", b"1"])
    (tmp_path / "dog" / "notes.txt").write_text("")
    (tmp_path / "dog" / ".hidden.jpg").write_bytes(b"4")
    (tmp_path / "dog" / "folder.jpg").mkdir()
    (tmp_path / "a\nb").mkdir()
    (tmp_path / os.fsdecode(b"\xff")).mkdir()
    (tmp_path / ".git").mkdir()
    (tmp_path / "readme.jpg").write_bytes(b"5")
    album = Gallery(tmp_path).scan()
    assert names(album) == {"cat": ["0.jpg", "1.jpg"], "dog": ["0.jpg"], NONE: []}
    assert sorted(album.left_out) == [
        "a\nb: it is left out: a class cannot have such a name",
        "dog/1.jpg: it is left out, the same picture as cat/0.jpg",
        "dog/folder.jpg: it is not a file, and left out",
        "\ufffd: it is left out: a class cannot have such a name",
    ]


def test_a_picture_is_asked_for_by_its_content(tmp_path):
    fill(tmp_path, cat=[b"1", b"2"])
    gallery = Gallery(tmp_path)
    album = gallery.scan()
    # The beginning of the SHA-256 of "1".
    (image,) = album.find(["6b86b273ff34fce19d6b"])
    assert image.path == tmp_path / "cat" / "0.jpg"
    os.rename(image.path, tmp_path / "cat" / "7.jpg")
    assert gallery.scan().find([image.key])[0].path.name == "7.jpg"
    with pytest.raises(ApiError, match="a picture is gone"):
        album.find([image.key, "absent"])


def test_a_fingerprint_changes_with_the_classes(tmp_path):
    fill(tmp_path, cat=[b"1", b"2"], dog=[b"3"])
    gallery = Gallery(tmp_path)
    first = gallery.scan().fingerprint()
    assert gallery.scan().fingerprint() == first
    album = gallery.scan()
    step = gallery.move(list(album.classes["cat"][:1]), "dog", album)
    second = gallery.scan().fingerprint()
    gallery.take_back(step)
    assert second != first == gallery.scan().fingerprint()


def test_numbers_are_not_used_twice_at_once(tmp_path):
    fill(tmp_path, cat=[])
    gallery = Gallery(tmp_path)
    (tmp_path / "cat" / "0001.jpg").write_bytes(b"old")
    for content in (b"1", b"2"):
        gallery.add("cat", content, "", gallery.scan())
    files = {path.name: path.read_bytes() for path in (tmp_path / "cat").iterdir()}
    assert files == {"0000.jpg": b"1", "0001.jpg": b"old", "0002.jpg": b"2"}
    # A step back where the name is taken meanwhile.
    album = gallery.scan()
    (image,) = [image for image in album.classes["cat"] if image.path.name == "0000.jpg"]
    step = gallery.delete([image], tmp_path / ".trash")
    (tmp_path / "cat" / "0000.jpg").write_bytes(b"new")
    gallery.take_back(step)
    files = {path.name: path.read_bytes() for path in (tmp_path / "cat").iterdir()}
    assert files == {"0000.jpg": b"new", "0001.jpg": b"old", "0002.jpg": b"2", "0003.jpg": b"1"}


def test_a_move_that_breaks_off_moves_nothing(tmp_path, monkeypatch):
    fill(tmp_path, cat=[b"1", b"2", b"3"])
    gallery = Gallery(tmp_path)
    album = gallery.scan()
    rename = os.rename

    def fail_at_the_third(source, target):
        if source.name == "2.jpg":
            raise OSError(28, "No space left on device")
        rename(source, target)

    monkeypatch.setattr(module.os, "rename", fail_at_the_third)
    with pytest.raises(OSError, match="No space left"):
        gallery.move(list(album.classes["cat"]), "dog", album)
    assert names(gallery.scan()) == {"cat": ["0.jpg", "1.jpg", "2.jpg"], "dog": [], NONE: []}


def test_so_many_classes_and_pictures_and_no_more(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_CLASSES", 3)
    monkeypatch.setattr(module, "MAX_IMAGES", 2)
    fill(tmp_path, a=[b"1"], b=[], c=[b"3"], d=[b"4"])
    gallery = Gallery(tmp_path)
    album = gallery.scan()
    assert sorted(album.classes) == ["a", "b", NONE]
    assert album.left_out == (
        "c: it is left out: there are 3 classes already",
        "d: it is left out: there are 3 classes already",
    )
    with pytest.raises(ApiError, match="there are 3 classes already"):
        gallery.name("e", album)
    gallery.add("b", b"5", "", album)
    with pytest.raises(ApiError, match="there are 2 pictures already; delete some first"):
        gallery.add("b", b"6", "", gallery.scan())


def test_a_class_goes_with_all_that_is_in_its_folder_and_comes_back(tmp_path):
    fill(tmp_path, cat=[b"1"])
    (tmp_path / "cat" / "notes.txt").write_text("mine")
    gallery = Gallery(tmp_path)
    step = gallery.remove("cat", gallery.scan(), tmp_path / ".trash")
    assert sorted(gallery.scan().classes) == [NONE] and not (tmp_path / "cat").exists()
    gallery.take_back(step)
    assert (tmp_path / "cat" / "notes.txt").read_text() == "mine"
    # Not where there is another one of that name meanwhile.
    step = gallery.remove("cat", gallery.scan(), tmp_path / ".trash")
    (tmp_path / "cat").mkdir()
    with pytest.raises(ApiError, match="there is a class cat meanwhile"):
        gallery.take_back(step)


def test_names_of_classes():
    assert check_label("  Kätzchen, rot ") == "Kätzchen, rot"
    # Written with an accent of its own, it is the same name.
    assert check_label("Ka\u0308tzchen", ["Kätzchen"]) == "Kätzchen"
    assert (
        check_label("MUG", ["cup", "Mug"]) == "Mug" and check_label("mug", ["Mug", "mug"]) == "mug"
    )
    assert check_label("None of These") == NONE
    assert check_label("c" * 60) == "c" * 60
    for name in ("c" * 61, "a/b", ".a", "", " ", "a\x7f", "\u200b", None, 3):
        with pytest.raises(ApiError):
            check_label(name)
