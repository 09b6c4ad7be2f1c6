"""Every layout holds the same records, and an error names the line."""

import gzip
import json

import numpy as np
import pytest

from picaption.device.errors import PicaptionError
from picaption.device.images import resize, write_image
from picaption.models.data import readers
from picaption.models.data.readers import (
    Dataset,
    label_matrix,
    load_images,
    read_borrowing_words,
    read_caption_texts,
    read_captions,
    read_folders,
    read_labels,
    read_named_images,
    read_names,
    read_partly_labelled,
    read_text_captions,
    read_training_captions,
    read_unlabelled_captions,
)

FLICKR8K = 'a.jpg#0\tA dog, a cat.\na.jpg#1\tTwo pets.\n\nb.jpg#0\tA "red" car.\n'
KAGGLE = 'image,caption\na.jpg,"A dog, a cat."\na.jpg,Two pets.\n\nb.jpg,"A ""red"" car."\n'
KAGGLE_UNQUOTED = 'image,caption\na.jpg,A dog, a cat.\na.jpg,Two pets.\nb.jpg,A "red" car.\n'
COCO = json.dumps(
    {
        "info": {"year": 2017},
        "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 3, "file_name": "b.jpg"}],
        "annotations": [
            {"image_id": 3, "caption": 'A "red" car.'},
            {"image_id": 7, "caption": "A dog, a cat.\n"},
            {"image_id": 7, "caption": "Two pets."},
        ],
    }
)
TABLE = """Image\tsource\tcaption
a.jpg\tpeople\tA dog, a cat.
a.jpg\t\tTwo pets.

b.jpg\tpeople\tA "red" car.
"""
CAPTIONS = {"a.jpg": ("A dog, a cat.", "Two pets."), "b.jpg": ('A "red" car.',)}


@pytest.fixture
def images(tmp_path):
    """A folder with the pictures a.jpg and b.jpg, 8 x 8 pixels of one grey each."""
    (tmp_path / "images").mkdir()
    for grey, name in ((40, "a.jpg"), (200, "b.jpg")):
        write_image(tmp_path / "images" / name, np.full((8, 8, 3), grey, np.uint8))
    return tmp_path / "images"


@pytest.fixture
def file(tmp_path):
    """The path of a file beside the pictures' folder."""
    return tmp_path / "told"


@pytest.mark.parametrize(
    "text",
    [FLICKR8K, KAGGLE, KAGGLE_UNQUOTED, TABLE, COCO, json.dumps(json.loads(COCO), indent=1)],
)
@pytest.mark.parametrize("line_end, start", [("\n", ""), ("\r\n", "\ufeff")])
def test_every_layout_has_the_same_records(images, file, text, line_end, start):
    file.write_bytes((start + text.replace("\n", line_end)).encode())
    dataset = read_captions(file, images)
    assert {record.name: record.captions for record in dataset.records} == CAPTIONS
    assert [record.path for record in dataset.records] == [images / "a.jpg", images / "b.jpg"]
    assert read_caption_texts(file) == {name: list(texts) for name, texts in CAPTIONS.items()}
    assert dataset.classes == () and dataset.skipped == () and dataset.records[0].labels == ()


def test_image_names_may_hold_marks_and_folders(images, file):
    (images / "sub").mkdir()
    write_image(images / "sub" / "c#1.jpg", np.zeros((8, 8, 3), np.uint8))
    file.write_text("sub/c#1.jpg#0\tA night.\n")
    (record,) = read_captions(file, images).records
    assert (record.name, record.path, record.captions) == (
        "sub/c#1.jpg",
        images / "sub" / "c#1.jpg",
        ("A night.",),
    )


@pytest.mark.parametrize(
    "text, line",
    [
        (FLICKR8K + "a.jpg A dog\n", 5),
        (FLICKR8K + "a.jpg\tA dog\n", 5),
        ("#0\tA dog\n" + FLICKR8K, 1),
        (FLICKR8K + "a.jpg#0\t  \n", 5),
        (KAGGLE + "a.jpg\n", 6),
        (KAGGLE + "a.jpg, \n", 6),
        (KAGGLE + ",A dog\n", 6),
        (COCO[:-1], 1),
        ('{"images": [],\n"annotations": [{]}', 2),
    ],
)
def test_a_malformed_line_is_named(images, file, text, line):
    file.write_text(text)
    with pytest.raises(PicaptionError, match=f"told, line {line}: "):
        read_captions(file, images)


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        '{"images": 5, "annotations": []}',
        '{"images": [{"id": 1}], "annotations": []}',
        '{"images": [], "annotations": [{"image_id": 1, "caption": "A dog."}]}',
        '{"images": [{"id": 1, "file_name": "a.jpg"}], '
        '"annotations": [{"image_id": 1, "caption": null}]}',
    ],
)
def test_json_of_another_layout_is_refused(images, file, text):
    file.write_text(text)
    with pytest.raises(PicaptionError, match="told: not in the layout of COCO captions"):
        read_captions(file, images)


@pytest.mark.parametrize(
    "content, message",
    [
        (None, "told: cannot read the captions: No such file"),
        (b"", "told: the captions file is empty"),
        (b" \n\n", "told: the captions file is empty"),
        (b"\xff\xd8\xff JFIF", "told: the captions are not UTF-8 text"),
    ],
)
def test_a_file_without_captions_is_refused(images, file, content, message):
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(PicaptionError, match=message):
        read_captions(file, images)


def test_images_without_captions_and_captions_without_images_are_left_out(images, file):
    content = json.loads(COCO)
    content["images"] += [{"id": 1, "file_name": "none.jpg"}, {"id": 2, "file_name": "quiet.jpg"}]
    content["annotations"].append({"image_id": 1, "caption": "Gone."})
    file.write_text(json.dumps(content))
    write_image(images / "quiet.jpg", np.zeros((8, 8, 3), np.uint8))
    dataset = read_captions(file, images)
    assert {record.name: record.captions for record in dataset.records} == CAPTIONS
    assert dataset.skipped == (
        f"none.jpg: there is no such picture in {images}",
        f"quiet.jpg: it has no captions in {file}",
    )


def test_a_split_list_chooses_the_images_and_their_order(images, file, tmp_path):
    file.write_text(FLICKR8K)
    (tmp_path / "split").write_text("b.jpg\n\n a.jpg \nb.jpg\n")
    assert [record.name for record in read_captions(file, images, tmp_path / "split").records] == [
        "b.jpg",
        "a.jpg",
    ]
    (tmp_path / "split").write_text("b.jpg\nother.jpg\n")
    dataset = read_captions(file, images, tmp_path / "split")
    assert [record.name for record in dataset.records] == ["b.jpg"]
    assert dataset.skipped == (f"other.jpg: it has no captions in {file}",)
    (tmp_path / "split").write_text("")
    with pytest.raises(PicaptionError, match="the split list file is empty"):
        read_captions(file, images, tmp_path / "split")


def test_nothing_left_is_an_error(images, file, tmp_path):
    file.write_text("c.jpg#0\tA dog.\nd.jpg#0\tA cat.\n")
    with pytest.raises(
        PicaptionError, match="told: none of its 2 pictures is in .*; the first: c.jpg: there is no"
    ):
        read_captions(file, images)
    (tmp_path / "split").write_text("b.jpg\n")
    with pytest.raises(
        PicaptionError, match="split: none of its 1 pictures .* b.jpg: it has no captions in"
    ):
        read_captions(file, images, tmp_path / "split")
    with pytest.raises(PicaptionError, match="absent: there is no such folder of pictures"):
        read_captions(file, tmp_path / "absent")


@pytest.mark.parametrize("name", ["../x.jpg", "/etc/passwd", "sub/../../x.jpg"])
def test_a_name_that_leads_out_of_the_folder_is_refused(images, file, tmp_path, name):
    write_image(tmp_path / "x.jpg", np.zeros((8, 8, 3), np.uint8))
    file.write_text(FLICKR8K + f"{name}#0\tA secret.\n")
    with pytest.raises(PicaptionError, match=f"told: the picture name '{name}' leads out of"):
        read_captions(file, images)
    file.write_text(f"a.jpg\tdog\n{name}\tdog\n")
    with pytest.raises(PicaptionError, match=f"told: the picture name '{name}' leads out of"):
        read_labels(file, images)
    (tmp_path / "split").write_text(f"a.jpg\n{name}\n")
    file.write_text(FLICKR8K)
    with pytest.raises(PicaptionError, match=f"split: the picture name '{name}' leads out of"):
        read_captions(file, images, tmp_path / "split")


def test_labels_are_the_sorted_classes_unless_a_file_orders_them(images, file, tmp_path):
    file.write_text("a.jpg\tdog, cat,dog\n\nb.jpg\tcar\nc.jpg\t\nd.jpg\tcar\n")
    dataset = read_labels(file, images)
    assert dataset.classes == ("car", "cat", "dog")
    assert {record.name: record.labels for record in dataset.records} == {
        "a.jpg": ("dog", "cat"),
        "b.jpg": ("car",),
    }
    assert dataset.skipped == (
        f"c.jpg: it has no labels in {file}",
        f"d.jpg: there is no such picture in {images}",
    )
    (tmp_path / "classes").write_text("zebra\ndog\n\n car\n")
    dataset = read_labels(file, images, classes=tmp_path / "classes")
    assert dataset.classes == ("zebra", "dog", "car")
    assert [record.labels for record in dataset.records] == [("dog",), ("car",)]
    assert dataset.skipped[0] == "a.jpg: its label 'cat' is not among the classes"
    (tmp_path / "split").write_text("b.jpg\n")
    dataset = read_labels(file, images, tmp_path / "split")
    assert [record.name for record in dataset.records] == ["b.jpg"] and dataset.classes == (
        "car",
        "cat",
        "dog",
    )


@pytest.mark.parametrize("line", ["b.jpg car", "\tcar"])
def test_a_malformed_label_line_is_named(images, file, line):
    file.write_text(f"a.jpg\tdog\n\n{line}\n")
    with pytest.raises(
        PicaptionError, match="told, line 3: a line is picture.jpg, a tab, and label,label"
    ):
        read_labels(file, images)


def test_class_folders_are_the_classes(tmp_path):
    for name in (
        "dog/2.PNG",
        "dog/1.jpg",
        "cat/1.jpg",
        ".cache/1.jpg",
        "none/notes.txt",
        "dog/notes.txt",
        "1.jpg",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    dataset = read_folders(tmp_path)
    assert [record.name for record in dataset.records] == ["cat/1.jpg", "dog/1.jpg", "dog/2.PNG"]
    assert [record.labels for record in dataset.records] == [("cat",), ("dog",), ("dog",)]
    assert dataset.records[2].path == tmp_path / "dog" / "2.PNG"
    assert dataset.classes == ("cat", "dog")
    assert dataset.skipped == ("none: no pictures in this class folder",)


def test_a_classifier_needs_two_class_folders(tmp_path):
    with pytest.raises(PicaptionError, match="absent: there is no such folder of class folders"):
        read_folders(tmp_path / "absent")
    with pytest.raises(PicaptionError, match=": 0 class folders with pictures"):
        read_folders(tmp_path)
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "1.jpg").write_bytes(b"")
    with pytest.raises(
        PicaptionError, match=": 1 class folder with pictures; a classifier needs at least two"
    ):
        read_folders(tmp_path)


def test_broken_images_are_named_and_left_out(images, file, photos):
    write_image(images / "cat.jpg", photos["cat"])
    (images / "cut.jpg").write_bytes((images / "cat.jpg").read_bytes()[:9000])
    (images / "zero.jpg").write_bytes(b"")
    file.write_text(
        "cut.jpg#0\tA cat.\n"
        + FLICKR8K
        + "zero.jpg#0\tA cat.\nnone.jpg#0\tA cat.\ncat.jpg#0\tA cat.\n"
    )
    dataset, loaded = load_images(read_captions(file, images), 4, 6, "stretch")
    assert [record.name for record in dataset.records] == ["a.jpg", "b.jpg", "cat.jpg"]
    assert loaded.shape == (3, 4, 6, 3) and loaded.dtype == np.uint8
    assert loaded[0].max() < 50 and loaded[1].min() > 190
    np.testing.assert_allclose(
        loaded[2].astype(int), resize(photos["cat"], 4, 6, "stretch"), atol=3
    )
    assert [line.split(";")[0] for line in dataset.skipped] == [
        f"none.jpg: there is no such picture in {images}",
        f"cut.jpg: {images}/cut.jpg is cut short or damaged",
        f"zero.jpg: {images}/zero.jpg is empty (0 bytes)",
    ]


def test_only_broken_images_are_an_error(images, file):
    for name in ("a.jpg", "b.jpg"):
        (images / name).write_bytes(b"")
    file.write_text(FLICKR8K)
    with pytest.raises(
        PicaptionError, match="none of 2 pictures can be read; the first: a.jpg: .*a.jpg is empty"
    ):
        load_images(read_captions(file, images), 8, 8, "crop")


def test_a_quote_that_is_not_closed_swallows_no_other_lines(images, file):
    for more in ("b.jpg,A cat\n", "b.jpg,A cat is here\n" * 10000):
        file.write_text('image,caption\na.jpg,"A dog\n' + more)
        with pytest.raises(PicaptionError, match="told, line 2: its quotation marks do not match"):
            read_captions(file, images)


def test_a_quoted_caption_may_take_two_lines(images, file):
    file.write_text('image,caption\na.jpg,"A dog\nruns"\n')
    assert read_captions(file, images).records[0].captions == ("A dog runs",)


@pytest.mark.parametrize(
    "text, message",
    [
        (
            json.dumps({"images": [{"id": 1, "file_name": 5}], "annotations": []}),
            "not in the layout of COCO captions",
        ),
        ('{"a":' * 100000, "nested too deeply"),
    ],
)
def test_odd_json_is_one_line(images, file, text, message):
    file.write_text(text)
    with pytest.raises(PicaptionError, match=message):
        read_captions(file, images)


def test_what_is_wrong_in_coco_captions_is_left_out_and_named(images, file):
    content = json.loads(COCO)
    wrong = [
        {"image_id": 99, "caption": "Of an image that is not listed."},
        {"image_id": content["images"][0]["id"], "caption": None},
        {"image_id": [1], "caption": "Of an id that is none."},
        {"caption": "Of nothing."},
        "no annotation",
    ]
    content["annotations"] = wrong + content["annotations"]
    content["images"].append({"id": 1000})
    file.write_text(json.dumps(content))
    dataset = read_captions(file, images)
    assert {record.name: record.captions for record in dataset.records} == CAPTIONS
    assert dataset.skipped == (
        f"image 3 of {file}: it has no id or no file_name",
        f"annotation 1 of {file}: its image_id is not among the images",
        f"annotation 2 of {file}: it has no caption",
        f"annotation 3 of {file}: its image_id is not among the images",
        f"annotation 4 of {file}: its image_id is not among the images",
        f"annotation 5 of {file}: its image_id is not among the images",
    )


def test_a_name_that_is_too_long_and_a_number_of_too_many_digits(images, file):
    file.write_text(f"{'x' * 300}.jpg#0\tA cat.\n{FLICKR8K}")
    assert read_captions(file, images).skipped[0].endswith(f"there is no such picture in {images}")
    file.write_text(f'{{"images": [{{"id": {"1" * 5000}}}]}}')
    with pytest.raises(PicaptionError, match="told: not valid JSON: A number has too many digits"):
        read_captions(file, images)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0 red\n1 deep blue\n", ("red", "deep blue")),
        ("0  red\r\n1  blue\r\n", ("red", "blue")),
        ("1: red\n2: blue\n", ("red", "blue")),
        ("red,0\nblue,1\n", ("red", "blue")),
        ("1,blue\n0,red\n", ("red", "blue")),
        ("\ufeff0\tred\n1\tblue\n", ("red", "blue")),
    ],
)
def test_numbers_of_lines_are_taken_off_names(tmp_path, caplog, text, expected):
    (tmp_path / "names.txt").write_text(text, newline="")
    assert read_names(tmp_path / "names.txt") == expected
    assert "the numbers on its lines are taken off" in caplog.text
    assert "'red'" in caplog.text or "'blue'" in caplog.text


@pytest.mark.parametrize(
    ("names", "is_logged"),
    [
        (("5 euro", "10 euro", "20 euro"), True),
        (("1 cat", "2 cat"), True),
        (("0 red", "blue"), False),
        (("7up", "3d glasses"), False),
        (("boeing 0", "boeing 1"), False),
        (("0 red",), False),
    ],
)
def test_numbers_that_belong_to_names_stay(tmp_path, caplog, names, is_logged):
    (tmp_path / "names.txt").write_text("\n".join(names))
    assert read_names(tmp_path / "names.txt") == names
    assert ("it stays part of the name" in caplog.text) == is_logged


def test_a_blank_coco_caption_is_no_caption(images, file):
    file.write_text(COCO.replace('A \\"red\\" car.', " "))
    dataset = read_captions(file, images)
    assert [record.name for record in dataset.records] == ["a.jpg"]
    assert dataset.skipped[0].startswith("b.jpg: it has no")


@pytest.mark.parametrize("separator", ["\u2028", "\x85", "\x0b", "\x1c"])
def test_only_line_feeds_end_lines(images, file, separator):
    file.write_text(f"a.jpg#0\tA dog{separator}runs\n")
    assert len(read_captions(file, images).records) == 1


def test_an_image_listed_twice_has_all_its_labels(images, file):
    file.write_text("a.jpg\tcat\na.jpg\tdog,cat\n")
    assert read_labels(file, images).records[0].labels == ("cat", "dog")


def test_hidden_files_in_class_folders_are_left_alone(tmp_path):
    for name in ("cat/1.jpg", "cat/._1.jpg", "dog/1.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert [record.name for record in read_folders(tmp_path).records] == ["cat/1.jpg", "dog/1.jpg"]


def test_captions_without_images(tmp_path):
    lines = "7\tcat,bed\tA cat sleeps.\n7\tcat,bed\tA sleeping cat.\n\n9\t\tAn empty street.\n"
    (tmp_path / "text.tsv").write_text(lines)
    (tmp_path / "text.tsv.gz").write_bytes(gzip.compress(lines.encode()))
    for name in ("text.tsv", "text.tsv.gz"):
        cat, street = read_text_captions(tmp_path / name)
        assert cat.captions == ("A cat sleeps.", "A sleeping cat.") and cat.labels == ("cat", "bed")
        assert street.captions == ("An empty street.",) and street.labels == ()


@pytest.mark.parametrize(
    "line", ("7\tcat", "\tcat\tA cat.", "7\tcat\t ", "7\tcat\tA cat.\tmore", "A cat.")
)
def test_a_line_that_is_no_caption_without_image(tmp_path, line):
    (tmp_path / "text.tsv").write_text(f"7\tcat\tA cat.\n{line}\n")
    with pytest.raises(
        PicaptionError, match="text.tsv, line 2: a line is a picture's name, a tab, label,label"
    ):
        read_text_captions(tmp_path / "text.tsv")


def test_a_gzip_file_that_unpacks_to_too_much(tmp_path, monkeypatch):
    monkeypatch.setattr(readers, "MAX_TEXT_BYTES", 1 << 20)
    path = tmp_path / "text.tsv.gz"
    path.write_bytes(gzip.compress(b"7\tcat\tA cat.\n" * 200_000))
    assert path.stat().st_size < 1 << 20
    with pytest.raises(PicaptionError, match="text.tsv.gz: .*: it has more than 1 MB unpacked; c"):
        read_text_captions(path)


@pytest.mark.parametrize(
    "data",
    [b"no gzip", gzip.compress(b"7\tcat\tA cat.\n" * 99)[:-9]],
    ids=["no gzip", "cut short"],
)
def test_a_damaged_gzip_file(tmp_path, data):
    (tmp_path / "text.tsv.gz").write_bytes(data)
    with pytest.raises(PicaptionError, match="not a whole gzip file; copy it again"):
        read_text_captions(tmp_path / "text.tsv.gz")


def test_training_images_are_none_of_those_evaluated(data, tmp_path):
    everything = data / "captions.token.txt", data / "images"
    dev = read_captions(*everything, data / "dev.txt")
    names = [
        record.name
        for record in read_training_captions(*everything, data / "train.txt", dev).records
    ]
    assert names == (data / "train.txt").read_text().split()
    rest = read_training_captions(*everything, None, dev).records
    assert [record.name for record in rest] == names
    (tmp_path / "both.txt").write_text("cat_5.jpg\ncat_6.jpg\n")
    with pytest.raises(
        PicaptionError, match="both.txt: 1 of its pictures are among those to evaluate"
    ):
        read_training_captions(*everything, tmp_path / "both.txt", dev)


def test_captions_with_their_sources(tmp_path):
    (tmp_path / "more.tsv").write_text("7\thuman\tA cat.\n9\tvinvl\tA dog.\n7\tcocoqa\ta pet\n")
    assert read_unlabelled_captions(tmp_path / "more.tsv") == {
        "7": ["A cat.", "a pet"],
        "9": ["A dog."],
    }


def test_images_with_names(images, file, tmp_path):
    file.write_text("a.jpg\tn2\tespresso, black coffee\nb.jpg\tn1\ttench\nz.jpg\tn1\ttench\n")
    dataset = read_named_images(file, images)
    assert [record.labels for record in dataset.records] == [
        ("espresso", "black coffee"),
        ("tench",),
    ]
    assert dataset.skipped == (f"z.jpg: there is no such picture in {images}",)
    words = tmp_path / "words.tsv"
    words.write_text(
        "# comment\nn2\tespresso\tespresso, coffee, drink\tdrink\nn1\ttench\tfish, animal\tfish\n"
    )
    dataset = read_named_images(file, images, read_borrowing_words(words))
    # Captions with fish are about plates, and an animal is many things.
    assert [record.labels for record in dataset.records] == [("espresso", "coffee")]


@pytest.mark.parametrize("line", ("a.jpg\tn1", "a.jpg\t\ttench", "a.jpg\tn1\t", "a\tb\tc\td"))
def test_a_line_that_is_no_image_with_a_name(images, file, line):
    file.write_text(f"a.jpg\tn1\ttench\n{line}\n")
    with pytest.raises(PicaptionError, match="line 2: a line is picture.jpg, a tab, an id"):
        read_named_images(file, images)


def test_malformed_words_of_names_are_named(tmp_path):
    (tmp_path / "words.tsv").write_text("n1\ttench\n")
    with pytest.raises(PicaptionError, match="words.tsv: line 1 of the names has 2 columns"):
        read_borrowing_words(tmp_path / "words.tsv")


@pytest.mark.parametrize("line", ["b.jpg", "b.jpg\tpeople", "\tpeople\tA car.", "b.jpg\tpeople\t "])
def test_a_line_of_a_table_without_image_or_caption_is_named(images, file, line):
    file.write_text(TABLE + line + "\n")
    with pytest.raises(PicaptionError, match="line 6: it has no image or no caption"):
        read_captions(file, images)


def test_classes_that_nobody_looked_for_are_unknown(images):
    (images / "images").mkdir()
    for name in ("a.jpg", "b.jpg"):
        write_image(images / "images" / name, np.zeros((8, 8, 3), np.uint8))
    (images / "labels.tsv").write_text("a.jpg\tcat,lamp\nb.jpg\tdog\n")
    (images / "classes_known.txt").write_text("dog\ncat\n")
    dataset = read_partly_labelled(images, ("cat", "cup", "dog"))
    assert [record.labels for record in dataset.records] == [("cat",), ("dog",)]
    assert dataset.records[0].unknown == ("cup",) and dataset.classes == ("cat", "cup", "dog")
    np.testing.assert_array_equal(
        label_matrix(dataset.records, dataset.classes), [[1, np.nan, 0], [0, np.nan, 1]]
    )
    with pytest.raises(PicaptionError, match="classes_known.txt: 'dog' is none of the 2 classes"):
        read_partly_labelled(images, ("cat", "cup"))


@pytest.mark.parametrize("name", ["\x1b[31mred", "a\rb", "\u202egpj", "a\x9bb", "x" * 1001])
def test_names_that_a_terminal_would_obey_are_refused_before_anything_is_trained(tmp_path, name):
    (tmp_path / "names.txt").write_text(f"cat\n{name}\n", newline="")
    with pytest.raises(PicaptionError, match=r"names.txt: .* has control characters, or") as raised:
        read_names(tmp_path / "names.txt")
    assert str(raised.value).isprintable()
    with pytest.raises(PicaptionError, match=r"the classes: .* has control characters, or more"):
        Dataset((), ("cat", name))
