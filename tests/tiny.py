"""A small real data set cut from the demo photographs, and how a run and a bundle are made of it.

What `tests/data/tiny.tflite` was made with: `python tools/make_tiny_bundle.py` makes it again.
Nothing here is imported from picaption.models or picaption.convert before it is needed, since the
device's tests run without TensorFlow.
"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from picaption import device
from picaption.device.images import list_images, read_image, write_image

if TYPE_CHECKING:
    from picaption.models.settings import Settings

DEMO = Path(device.__file__).parent / "sources" / "demo"
#: The bundle that is checked in.
TINY_BUNDLE = Path(__file__).parent / "data" / "tiny.tflite"

#: What the demo photographs show: captions, and labels for a multi-label list.
CAPTIONS_AND_LABELS = {
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
#: Parts that every photograph is cut into; the last two are for dev.
PARTS = 8


def read_photos() -> dict[str, np.ndarray]:
    """Return the demo photographs that have captions here, uint8 RGB, by name."""
    paths = {path.stem: path for path in list_images(DEMO)}
    return {name: read_image(paths[name]) for name in CAPTIONS_AND_LABELS}


def write_data(root: Path) -> None:
    """Write Flickr8k's layout, a multi-label list and class folders to the empty folder `root`."""
    (root / "images").mkdir()
    captions, labels, names = [], [], []
    for stem, image in read_photos().items():
        sentences, classes = CAPTIONS_AND_LABELS[stem]
        (root / "folders" / stem).mkdir(parents=True)
        for part in range(PARTS):
            name = f"{stem}_{part}.jpg"
            cut = cut_part(image, part)
            write_image(root / "images" / name, cut)
            write_image(root / "folders" / stem / name, cut)
            captions += [
                f"{name}#{index}\t{sentence}\n" for index, sentence in enumerate(sentences)
            ]
            labels.append(f"{name}\t{','.join(classes)}\n")
            names.append(name)
    (root / "text.tsv").write_text(
        "".join(
            f"{stem}_{number}\t{','.join(classes)}\t{sentence}\n"
            for number in range(3)
            for stem, (sentences, classes) in CAPTIONS_AND_LABELS.items()
            for sentence in sentences
        )
    )
    (root / "captions.token.txt").write_text("".join(captions))
    (root / "labels.tsv").write_text("".join(labels))
    (root / "train.txt").write_text("".join(f"{name}\n" for name in names if name[-5] not in "67"))
    (root / "dev.txt").write_text("".join(f"{name}\n" for name in names if name[-5] in "67"))


def cut_part(image: np.ndarray, part: int) -> np.ndarray:
    """Return one of PARTS squares of a photograph, two thirds of its shorter side."""
    side = min(image.shape[:2]) * 2 // 3
    top = (part % 2) * (image.shape[0] - side)
    left = (part // 2) * (image.shape[1] - side) // 3
    return image[top : top + side, left : left + side]


def tiny_settings() -> "Settings":
    """Return settings of a run small enough to train in seconds, through every stage."""
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
        finetune_epochs=1,
        finetune_batch=6,
        scst_epochs=1,
        scst_samples=3,
        max_words=8,
        beam_width=2,
        tag_weight=0.4,
    )


def write_random_network(path: Path) -> None:
    """Write a small convolutional network with random weights, always the same, to `path`.

    The features of random filters tell three photographs apart, and the network is small: the
    bundle of one with the classic network's 512 features has 2.5 MB.
    """
    from keras import Input, Sequential, initializers, layers

    stack = [Input((64, 64, 3))]
    for seed, filters in enumerate((8, 16, 32)):
        weights = initializers.HeNormal(seed=seed)
        stack.append(
            layers.Conv2D(filters, 3, 2, "same", activation="relu", kernel_initializer=weights)
        )
    stack += [layers.AveragePooling2D(4), layers.Flatten(name="features"), layers.Dense(4)]
    Sequential(stack).save(path)


def make_run(data: Path, folder: Path) -> None:
    """Train a run on `data`, which write_data has written, into `folder`."""
    from picaption.models.training.train import train

    train(tiny_settings(), data, folder)


def write_folded_weights(path: Path, classes: int) -> None:
    """Write random folded weights of a small MobileNetV2 with a classifier."""
    from picaption.models.networks.backbones import build_backbone, weighted_layers

    network = build_backbone("mobilenet_v2", 32, 0.35, classes)
    arrays = {}
    for index, layer in enumerate(weighted_layers(network)):
        weight, bias = layer.get_weights()
        weight = weight.T[:, None, None] if weight.ndim == 2 else weight.transpose(3, 0, 1, 2)
        arrays[f"{index:02}_w"] = weight
        arrays[f"{index:02}_b"] = bias
    np.savez(path, **arrays)


def make_bundle(run: Path, data: Path, output: Path) -> None:
    """Write the int8 bundle of a run to `output`."""
    from picaption.convert.convert import convert

    convert(run, output, data / "images")


def make_tiny_bundle(folder: Path, output: Path) -> None:
    """Write the bundle that is checked in as TINY_BUNDLE to `output`, in the empty `folder`."""
    from picaption.models.training.train import train

    data = folder / "data"
    data.mkdir()
    write_data(data)
    write_random_network(data / "random.keras")
    settings = replace(
        tiny_settings(), network="random.keras", pixels="-1..1", finetune_epochs=0, finetune_runs=1
    )
    train(settings, data, folder / "run")
    make_bundle(folder / "run", data, output)
