"""A small real data set, a run trained on it and a bundle made of it, for every test that needs one."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from pathlib import Path  # noqa: E402

import pytest  # noqa: E402

from picaption import device  # noqa: E402
from picaption.device.images import list_images, read_image, write_image  # noqa: E402

DEMO = Path(device.__file__).parent / "sources" / "demo"

#: What the demo photographs show: captions, and labels for a multi-label list.
TOLD = {
    "astronaut": (
        ("A woman in an orange suit smiles.", "An astronaut is smiling at the camera."),
        ("person",),
    ),
    "cat": (("A cat is looking at the camera.", "A brown cat's face."), ("cat",)),
    "coffee": (
        ("A cup of coffee on a table.", "A cup of coffee beside a spoon."),
        ("cup", "spoon"),
    ),
}


@pytest.fixture(scope="session")
def photos():
    """The demo photographs that have captions here, uint8 RGB, by name."""
    found = {path.stem: path for path in list_images(DEMO)}
    return {name: read_image(found[name]) for name in TOLD}


@pytest.fixture(scope="session")
def data(tmp_path_factory, photos):
    """A folder with Flickr8k's layout, a multi-label list and class folders, cut from the demo photographs."""
    root = tmp_path_factory.mktemp("data")
    (root / "images").mkdir()
    captions, labels, names = [], [], []
    for stem, (sentences, classes) in TOLD.items():
        (root / "folders" / stem).mkdir(parents=True)
        for part in range(8):
            image = photos[stem]
            side = min(image.shape[:2]) * 2 // 3
            top, left = (
                (part % 2) * (image.shape[0] - side),
                (part // 2) * (image.shape[1] - side) // 3,
            )
            name = f"{stem}_{part}.jpg"
            write_image(root / "images" / name, image[top : top + side, left : left + side])
            write_image(root / "folders" / stem / name, image[top : top + side, left : left + side])
            captions += [
                f"{name}#{number}\t{sentence}\n" for number, sentence in enumerate(sentences)
            ]
            labels.append(f"{name}\t{','.join(classes)}\n")
            names.append(name)
    (root / "text.tsv").write_text(
        "".join(
            f"{stem}_{number}\t{','.join(classes)}\t{sentence}\n"
            for number in range(3)
            for stem, (sentences, classes) in TOLD.items()
            for sentence in sentences
        )
    )
    (root / "captions.token.txt").write_text("".join(captions))
    (root / "labels.tsv").write_text("".join(labels))
    (root / "train.txt").write_text("".join(f"{name}\n" for name in names if name[-5] not in "67"))
    (root / "dev.txt").write_text("".join(f"{name}\n" for name in names if name[-5] in "67"))
    return root


@pytest.fixture(scope="session")
def settings():
    """Settings of a run small enough to train in seconds, through every stage."""
    from picaption.models.settings import Settings

    return Settings(
        name="tiny",
        captions="captions.token.txt",
        images="images",
        train="train.txt",
        dev="dev.txt",
        labels="labels.tsv",
        label_images="images",
        label_train="train.txt",
        label_dev="dev.txt",
        text="text.tsv",
        network="classic",
        size=64,
        min_count=1,
        tags=10,
        order=3,
        embedding=16,
        hidden=32,
        batch=6,
        epochs=30,
        learning_rate=1e-2,
        patience=30,
        warm_up_epochs=3,
        tune_epochs=1,
        tune_batch=6,
        reward_epochs=1,
        reward_samples=3,
        max_words=8,
        beam_width=2,
        evidence=0.4,
    )


@pytest.fixture(scope="session")
def run(tmp_path_factory, data, settings):
    """The folder of a finished training run."""
    from picaption.models.training.train import train

    folder = tmp_path_factory.mktemp("run")
    train(settings, data, folder)
    return folder


@pytest.fixture(scope="session")
def bundle(tmp_path_factory, run, data):
    """The path of the int8 bundle made of `run`."""
    from picaption.convert.convert import convert

    path = tmp_path_factory.mktemp("bundle") / "tiny.tflite"
    convert(run, path, data / "images")
    return path


@pytest.fixture(scope="session")
def class_run(tmp_path_factory, data):
    """The folder of a finished training run on class folders, without captions."""
    from picaption.models.settings import Settings
    from picaption.models.training.train import train

    folder = tmp_path_factory.mktemp("class_run")
    train(
        Settings(
            name="folders",
            folders="folders",
            network="classic",
            size=32,
            tune_epochs=4,
            tune_batch=8,
            tune_learning_rate=1e-3,
        ),
        data,
        folder,
    )
    return folder
