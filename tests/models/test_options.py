"""The data options: what each command passes on, what does not go together, what is read."""

from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from picaption.device.errors import PicaptionError
from picaption.models.options import (
    SELECTION,
    TRAINING,
    DataSelection,
    check_selection,
    data_options,
    read_selection,
)

FILES = {"captions": Path("c"), "images": Path("i")}


@click.command()
@data_options(*SELECTION, *TRAINING, limit="Not more than these.")
@click.option("--beam", type=int)
def command(beam, data):
    """Print its data."""
    click.echo(repr((beam, data)))


def test_a_command_gets_its_data_options_as_one_value():
    arguments = ["--captions", "c", "--images", "i", "--training-split", "s", "--limit", "3"]
    result = CliRunner().invoke(command, [*arguments, "--beam", "2"])
    expected = DataSelection(**FILES, training_split=Path("s"), limit=3)
    assert result.output == f"{(2, expected)!r}\n"
    assert CliRunner().invoke(command, []).output == f"{(None, DataSelection())!r}\n"


def test_the_options_have_their_order_and_help():
    text = CliRunner().invoke(command, ["--help"]).output
    options = ["--" + name.replace("_", "-") for name in (*SELECTION, *TRAINING)]
    positions = [text.index(f"  {option} ") for option in [*options, "--beam"]]
    assert positions == sorted(positions)
    assert "Not more than these." in text and "Only the first" not in text
    assert "one folder of pictures a class" in text


@pytest.mark.parametrize("name", ["captions", "labels", "folders"])
def test_a_source_is_captions_labels_or_folders(name):
    assert DataSelection(**{name: Path("x")}).has_source
    assert not DataSelection(images=Path("x"), split=Path("y"), mapping=Path("z")).has_source


@pytest.mark.parametrize(
    "values, message",
    [
        ({}, "give the data by one of --captions, --labels and --folders, or by"),
        ({"captions": "c", "folders": "f"}, "give the data by one of"),
        ({"folders": "f", "images": "i"}, "--images, --split and --classes go with --captions"),
        ({"folders": "f", "split": "s"}, "folders need none of them"),
        ({"folders": "f", "classes": "s"}, "folders need none of them"),
        ({"captions": "c"}, "give the folder of the pictures with --images"),
        ({"labels": "c"}, "give the folder of the pictures with --images"),
        ({"labels": "l", "images": "i", "training": "t"}, "are about captions: give --captions"),
        ({"captions": "c", "images": "i", "training_split": "s"}, "go with --training: give"),
        ({"captions": "c", "images": "i", "training_images": "s"}, "go with --training: give"),
        ({"captions": "c", "images": "i", "mapping": "m"}, "--mapping goes with --folders"),
    ],
)
def test_options_that_do_not_go_together_are_refused(values, message):
    paths = {name: Path(value) for name, value in values.items()}
    with pytest.raises(PicaptionError, match=message):
        check_selection(DataSelection(**paths))


def test_a_gallery_needs_captions():
    labels = DataSelection(labels=Path("l"), images=Path("i"))
    check_selection(labels)
    with pytest.raises(PicaptionError, match="--training and --gallery are about captions"):
        check_selection(labels, with_gallery=True)
    check_selection(DataSelection(**FILES), with_gallery=True)


def test_every_source_is_read(data):
    captions, images = data / "captions.token.txt", data / "images"
    dataset, training = read_selection(DataSelection(captions=captions, images=images, limit=2))
    assert len(dataset.records) == 2 and dataset.records[0].captions and training is None
    labels = data / "labels.tsv"
    dataset, _ = read_selection(DataSelection(labels=labels, images=images))
    assert dataset.records[0].labels and dataset.classes
    both = DataSelection(captions=captions, labels=labels, images=images)
    dataset, _ = read_selection(both)
    assert dataset.records[0].captions and dataset.records[0].labels
    dataset, _ = read_selection(DataSelection(folders=data / "folders"))
    assert len(dataset.classes) == 3


def test_training_captions_are_of_the_other_images(data):
    captions, images, dev = data / "captions.token.txt", data / "images", data / "dev.txt"
    selection = DataSelection(captions=captions, images=images, split=dev, training=captions)
    dataset, training = read_selection(selection)
    names = {record.name for record in training.records}
    assert names and names.isdisjoint(record.name for record in dataset.records)
