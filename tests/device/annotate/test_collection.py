"""What a collection lists and reads: folders, patterns, tars, addresses, whatever is in them."""

import gzip
import os
import subprocess
import tarfile
import tracemalloc

import pytest

from picaption.device.annotate.collection.items import Batch, Item, cut_batches
from picaption.device.annotate.collection.patterns import (
    expand_braces,
    matches,
    may_hold_match,
    split_pattern,
)
from picaption.device.annotate.collection.reading import read_items
from picaption.device.annotate.collection.sorting import sort_bounded
from picaption.device.annotate.collection.sources import open_collection
from picaption.device.annotate.collection.tar_shards import MAX_HEADER_BYTES
from picaption.device.errors import PicaptionError

fsspec = pytest.importorskip("fsspec")


def paths(*sources):
    return [item.path for item in open_collection([str(source) for source in sources])]


# --- sorting


def test_more_than_fits_is_sorted():
    records = [b"%06d" % (index * 7919 % 1000) for index in range(1000)]
    assert list(sort_bounded(iter(records), run_records=64)) == sorted(records)
    assert list(sort_bounded([b"b", b"a"])) == [b"a", b"b"]
    assert list(sort_bounded([])) == []


def test_memory_holds_a_part_of_what_is_sorted():
    tracemalloc.start()
    try:
        records = (b"%050d" % (index * 7919 % 40_000) for index in range(40_000))
        count = sum(1 for _ in sort_bounded(records, run_records=800))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 40_000
    # All of them have 3.6 MB: 83 bytes each, and 8 for a list. Of 50 runs, 8 kB are split.
    assert peak < 1_800_000, peak


def test_a_long_record_crosses_what_is_read_at_a_time():
    records = [bytes([letter]) * 100_000 for letter in b"cab"]
    assert list(sort_bounded(records, run_records=1)) == sorted(records)


# --- patterns


@pytest.mark.parametrize(
    ("path", "pattern", "is_match"),
    [
        ("a.jpg", "*.jpg", True),
        ("x/a.jpg", "*.jpg", False),
        ("x/y/a.jpg", "**/*.jpg", True),
        ("a.jpg", "**/*.jpg", True),
        ("x/y/a.jpg", "x/**/a.jpg", True),
        ("x/a.jpg", "x/**/a.jpg", True),
        ("z/a.jpg", "x/**/a.jpg", False),
        ("x/y/z", "**", True),
        ("x/b1.jpg", "*/b[0-3].jpg", True),
        ("x/b4.jpg", "*/b[0-3].jpg", False),
        ("a/b/a/b/c", "**/b/**/c", True),
    ],
)
def test_paths_match_patterns(path, pattern, is_match):
    assert matches(path.split("/"), pattern.split("/")) == is_match


def test_many_wildcards_take_no_exponential_time():
    assert not matches(["a"] * 200, ["**", "a"] * 40 + ["b"])


def test_no_folder_is_listed_in_which_nothing_can_match():
    pattern = ("2024", "*", "x.jpg")
    assert may_hold_match(("2024",), pattern) and may_hold_match(("2024", "05"), pattern)
    assert not may_hold_match(("2023",), pattern)
    assert not may_hold_match(("2024", "05", "x.jpg"), pattern)
    assert may_hold_match(("a", "b", "c"), ("a", "**", "x.jpg"))


def test_braces_are_numbers_as_in_webdatasets_addresses():
    assert list(expand_braces("s-{008..010}.tar")) == ["s-008.tar", "s-009.tar", "s-010.tar"]
    assert list(expand_braces("{1..2}-{3..4}")) == ["1-3", "1-4", "2-3", "2-4"]
    assert list(expand_braces("{a,b}")) == ["{a,b}"]


def test_a_pattern_begins_where_the_first_wildcard_is():
    assert split_pattern("a/b*/c") == ("a/", ("b*", "c"))
    assert split_pattern("*.jpg") == ("", ("*.jpg",))
    assert split_pattern("a/b") == ("a/b", ())
    assert split_pattern("s3://bucket/*.tar") == ("s3://bucket/", ("*.tar",))


# --- batches


def items(names):
    return [Item(name, version="1") for name in names]


def test_batches_have_about_the_size_and_hold_all_in_order():
    names = [f"{index:05}.jpg" for index in range(5000)]
    batches = list(cut_batches(items(names), 50))
    assert [item.path for batch in batches for item in batch.items] == names
    sizes = [len(batch.items) for batch in batches[:-1]]
    assert min(sizes) >= 25 and max(sizes) <= 100
    assert 35 < sum(sizes) / len(sizes) < 65
    assert len({batch.name for batch in batches}) == len(batches)


def test_an_added_image_changes_few_batches():
    names = [f"{index:05}.jpg" for index in range(2000)]
    before = {batch.name for batch in cut_batches(items(names), 50)}
    after = {batch.name for batch in cut_batches(items(sorted([*names, "00500a.jpg"])), 50)}
    assert 1 <= len(before - after) <= 5


def test_a_changed_image_changes_its_batch_alone():
    changed = items("abc")
    changed[1] = Item("b", version="2")
    (before,) = cut_batches(items("abc"), 10)
    (after,) = cut_batches(changed, 10)
    assert before.name != after.name and isinstance(before, Batch)


def test_a_batch_of_one_is_one():
    assert [len(batch.items) for batch in cut_batches(items("abc"), 1)] == [1, 1, 1]


# --- folders


def test_a_folder_is_listed_with_all_below(photos):
    listed = paths(photos)
    assert len(listed) == 25 and f"{photos}/sub/cat_0.jpg" in listed
    assert listed == sorted(listed)
    assert not any("hidden" in path or "notes" in path for path in listed)


def test_patterns_choose(photos):
    assert len(paths(f"{photos}/*.jpg")) == 17
    assert len(paths(f"{photos}/**/cat_*.jpg")) == 8
    assert paths(f"{photos}/*/cat_1.jpg") == [f"{photos}/sub/cat_1.jpg"]


def test_a_path_is_what_the_source_calls_it(photos, monkeypatch):
    monkeypatch.chdir(photos.parent)
    assert paths("photos/sub")[0] == "photos/sub/cat_0.jpg"
    assert paths("./photos/sub/")[0] == "./photos/sub/cat_0.jpg"
    monkeypatch.chdir(photos / "sub")
    assert paths("*.jpg")[0] == "cat_0.jpg"
    assert paths(".")[0] == "./cat_0.jpg"


def test_a_brackets_name_that_is_there_is_no_pattern(tmp_path, jpegs):
    folder = tmp_path / "holidays [2019]"
    folder.mkdir()
    (folder / "a.jpg").write_bytes(jpegs["cat_0.jpg"])
    assert paths(folder) == [f"{folder}/a.jpg"]


def test_nothing_is_listed_twice(photos):
    file = photos / "sub" / "cat_0.jpg"
    listed = paths(photos, f"{photos}/sub", f"{photos}/**/*.jpg", file, file)
    assert len(listed) == len(set(listed)) == 25


def test_what_is_not_there_is_said(tmp_path):
    for source in ("missing", "missing/*.jpg", "missing.tar"):
        with pytest.raises(PicaptionError, match=f"no picture, folder or tar at .*{source[:4]}"):
            open_collection([str(tmp_path / source)])


def test_links_and_pipes_are_survived(tmp_path, jpegs):
    root = tmp_path / "root"
    root.mkdir()
    (root / "loop").symlink_to(root)
    (root / "dangling.jpg").symlink_to("nothing")
    (root / "linked.jpg").symlink_to(root / "real.jpg")
    (root / "real.jpg").write_bytes(jpegs["cat_0.jpg"])
    os.mkfifo(root / "pipe.jpg")
    os.mkdir(root / "folder.jpg")
    listed = {os.path.basename(path) for path in paths(root)}
    assert listed == {"dangling.jpg", "linked.jpg", "real.jpg"}
    results = {item.path: data for item, data in read_items(list(open_collection([str(root)])))}
    assert isinstance(results[f"{root}/dangling.jpg"], PicaptionError)
    assert results[f"{root}/linked.jpg"] == jpegs["cat_0.jpg"]


def test_a_tree_is_deeper_than_pythons_recursion(tmp_path, jpegs):
    deep = tmp_path / "deep"
    folder = str(deep)
    while len(folder) < 2300:
        os.mkdir(folder)
        folder += "/d"
    os.mkdir(folder)
    try:
        with open(f"{folder}/a.jpg", "wb") as file:
            file.write(jpegs["cat_0.jpg"])
        assert paths(deep) == [f"{folder}/a.jpg"]
    finally:  # Python's own removal is as deep as the tree.
        subprocess.run(["rm", "-r", deep], check=True)


def test_names_that_are_not_utf8_are_read(tmp_path, jpegs):
    (tmp_path / "n\udcff.jpg").write_bytes(jpegs["cat_0.jpg"])
    ((item, data),) = read_items(list(open_collection([str(tmp_path)])))
    assert data == jpegs["cat_0.jpg"] and item.path.endswith("n\udcff.jpg")
    (batch,) = cut_batches([item], 1)
    assert len(batch.name) == 30


def test_a_folder_that_cannot_be_read_is_an_item_that_says_so(photos, monkeypatch):
    scandir = os.scandir

    def refuse(path):
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    listing = open_collection([str(photos)])
    (problem,) = [item for item in listing if item.problem]
    assert "sub cannot be read (Permission denied)" in problem.problem
    assert not listing.is_complete


def test_images_that_are_not_read_are_counted(tmp_path, jpegs):
    for name in ("a.heic", "b.HEIC", "c.dng", "d.jpg"):
        (tmp_path / name).write_bytes(jpegs["cat_0.jpg"])
    listing = open_collection([str(tmp_path)])
    assert [os.path.basename(item.path) for item in listing] == ["d.jpg"]
    assert listing.unreadable == {".heic": 2, ".dng": 1}


def test_a_large_folder_is_listed_in_the_same_order(tmp_path, monkeypatch):
    for index in range(300):
        (tmp_path / f"{index * 7919 % 1000}.jpg").touch()
    at_once = paths(tmp_path)
    monkeypatch.setattr(sort_bounded, "__defaults__", (16,))
    assert paths(tmp_path) == at_once and len(at_once) == 300


# --- tars


def test_a_shard_is_its_images(shard, jpegs):
    listed = list(open_collection([str(shard)]))
    good = [item for item in listed if not item.problem]
    assert [item.path for item in good] == [f"{shard}/{key:04}.jpg" for key in range(6)]
    data = [data for _, data in read_items(good)]
    assert data == [data for _, data in sorted(jpegs.items())[:6]]


def test_hostile_members_are_refused_and_touch_nothing(shard):
    listed = list(open_collection([str(shard)]))
    problems = {item.path.removeprefix(f"{shard}/"): item.problem for item in listed}
    assert "leads out of the archive" in problems["../../escaped.jpg"]
    assert "leads out of the archive" in problems["/etc/absolute.jpg"]
    assert "is a link" in problems["link.jpg"] and "is a link" in problems["hard.jpg"]
    assert all("is not a plain file" in problems[name] for name in ("device.jpg", "pipe.jpg"))
    for item, data in read_items(listed):
        assert isinstance(data, PicaptionError) == bool(item.problem)
        assert ".." not in item.relative


def test_a_shard_that_is_read_through_has_the_same_images(shard):
    compressed = shard.with_suffix(".tar.gz")
    compressed.write_bytes(gzip.compress(shard.read_bytes()))
    (item,) = open_collection([str(compressed)])
    assert item.is_shard
    through = [(item.path, str(data)) for item, data in read_items([item])]
    sliced = [(i.path, str(data)) for i, data in read_items(list(open_collection([str(shard)])))]
    assert through == [
        (a.replace("000.tar", "000.tar.gz"), b.replace("000.tar", "000.tar.gz")) for a, b in sliced
    ]


def test_shards_in_a_folder_and_by_braces(shard):
    assert len(paths(shard.parent)) == 12
    assert len(paths(f"{shard.parent}/{{000..000}}.tar")) == 12


@pytest.mark.parametrize("length", [100, 700, 5000])
def test_a_shard_cut_short_keeps_what_is_before(shard, length):
    shard.write_bytes(shard.read_bytes()[:length])
    results = list(read_items(list(open_collection([str(shard)]))))
    assert any(isinstance(data, PicaptionError) for _, data in results)


def test_a_shard_that_is_no_tar_is_said(tmp_path):
    path = tmp_path / "x.tar"
    path.write_bytes(b"no tar" * 1000)
    (item,) = open_collection([str(path)])
    assert "cut short or no tar" in item.problem


def test_a_header_without_an_end_is_not_read(tmp_path):
    path = tmp_path / "x.tar"
    header = tarfile.TarInfo("pax")
    header.type = tarfile.XHDTYPE
    header.size = MAX_HEADER_BYTES * 64
    with open(path, "wb") as file:
        file.write(header.tobuf(tarfile.USTAR_FORMAT))
        file.truncate(header.size + 4096)
    (item,) = open_collection([str(path)])
    assert "header is too large" in item.problem


def test_a_shard_that_changes_after_the_listing_is_not_read(shard):
    listed = list(open_collection([str(shard)]))
    shard.write_bytes(shard.read_bytes() + b"\0" * 512)
    ((_, error),) = read_items(listed[:1])
    assert "has changed since it was listed" in str(error)


# --- addresses


@pytest.fixture
def memory(photos, shard):
    """The photographs at memory://."""
    file_system = fsspec.filesystem("memory")
    file_system.put(str(photos), "/photos", recursive=True)
    file_system.put(str(shard), "/shards/000.tar")
    yield file_system
    file_system.rm("/photos", recursive=True)
    file_system.rm("/shards", recursive=True)


def test_an_address_is_as_a_folder(memory, photos):
    remote = list(open_collection(["memory://photos"]))
    local = list(open_collection([str(photos)]))
    strip = f"{photos}/"
    assert [item.relative for item in remote] == [item.path.removeprefix(strip) for item in local]
    assert remote[0].path == f"memory://photos/{remote[0].relative}"
    for (_, left), (_, right) in zip(read_items(remote), read_items(local)):
        assert left == right


def test_patterns_at_addresses(memory, photos):
    assert len(paths("memory://photos/**/cat_?.jpg")) == 8
    assert len(paths("memory://photos/*.jpg")) == 17
    assert paths("memory://photos/sub/cat_0.jpg") == ["memory://photos/sub/cat_0.jpg"]
    assert len(paths(f"file://{photos}/sub")) == 8


def test_a_shard_at_an_address_is_read_through(memory, shard):
    (item,) = open_collection(["memory://shards"])
    assert item.is_shard
    results = list(read_items([item]))
    assert sum(isinstance(data, bytes) for _, data in results) == 6 and len(results) == 12


def test_what_is_wrong_with_an_address_is_one_line(memory):
    with pytest.raises(PicaptionError, match="there is nothing at memory://missing"):
        open_collection(["memory://missing"])
    with pytest.raises(PicaptionError, match="nothing://x: .*not known|nothing://x"):
        open_collection(["nothing://x"])
