"""The kinds of input that are text: settings, recipes, ARPA files, captions and labels."""

import csv
import io
import json
import random
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path

from picaption import models
from picaption.device.bundle.vocabulary import SPECIAL_WORDS, Vocabulary
from picaption.device.config.toml import load_config, plain_toml, to_toml
from picaption.device.errors import PicaptionError
from picaption.models.data import readers
from picaption.models.language.arpa import read_arpa, write_arpa
from picaption.models.language.ngram import kneser_ney, perplexity
from picaption.models.settings import read_settings
from tests import tiny

from .kind import Kind
from .mutation import mutate_text

EVENTS = """
[[event]]
word = "cat"
run = ["echo", "{caption}"]
every = 2.5

[[event]]
caption = true
post = "http://127.0.0.1:9/hook"
"""
#: The folder of tiny.write_data, once it is made, and the file that an input becomes.
_DATA = "data"
_INPUT = "input"

_CAPTIONS_READERS: tuple[Callable[[Path], object], ...] = (
    readers.read_caption_texts,
    readers.read_text_captions,
    readers.read_unlabelled_captions,
)
_LABELS_READERS: tuple[Callable[[Path], object], ...] = (
    readers.read_mapping,
    readers.read_names,
    readers.read_borrowing_words,
)


def _settings_seeds(folder: Path) -> list[bytes]:
    defaults = to_toml(load_config({}, _write(folder, b""), {}))
    return [(defaults + EVENTS).encode(), EVENTS.encode()]


def _use_settings(content: bytes, folder: Path) -> None:
    """Load settings; what is loaded can be written and loaded again as the same."""
    loaded = load_config({}, _write(folder, content), {})
    tomllib.loads(to_toml(loaded))
    again = load_config({}, _write(folder, plain_toml(loaded).encode()), {})
    if again.config != loaded.config:
        raise AssertionError("the settings are others once they were written")


def _recipes_seeds(folder: Path) -> list[bytes]:
    recipes = Path(models.__path__[0], "recipes").glob("*.toml")
    return [path.read_bytes() for path in sorted(recipes)]


def _use_recipe(content: bytes, folder: Path) -> None:
    read_settings(_write(folder, content))


def _arpa_seeds(folder: Path) -> list[bytes]:
    words = Vocabulary((*SPECIAL_WORDS, "a", "b", "c", "été"))
    captions = [[3, 4], [3, 4], [3, 5], [4, 3], [4, 4, 5, 6], [6]]
    path = folder / _INPUT
    write_arpa(path, kneser_ney(captions, 3, len(words)), words)
    return [path.read_bytes()]


def _use_arpa(content: bytes, folder: Path) -> None:
    model, words = read_arpa(_write(folder, content))
    perplexity(model, [[3, 4]] if len(words) > 4 else [[]])


def _captions_seeds(folder: Path) -> list[bytes]:
    """Return the tiny data's captions in every layout."""
    data = _make_data(folder)
    texts = readers.read_caption_texts(data / "captions.token.txt")
    rows = [(image, caption) for image, captions in texts.items() for caption in captions][:8]
    kaggle = io.StringIO()
    csv.writer(kaggle).writerows([("image", "caption"), *rows])
    identifiers = {image: number for number, image in enumerate(dict(rows))}
    coco = {
        "images": [{"id": number, "file_name": image} for image, number in identifiers.items()],
        "annotations": [
            {"image_id": identifiers[image], "id": number, "caption": caption}
            for number, (image, caption) in enumerate(rows)
        ],
    }
    table = "image\tcaption\n" + "".join(f"{image}\t{caption}\n" for image, caption in rows)
    return [
        "".join(f"{image}#0\t{caption}\n" for image, caption in rows).encode(),
        kaggle.getvalue().encode(),
        json.dumps(coco).encode(),
        table.encode(),
        (data / "text.tsv").read_bytes(),
    ]


def _use_captions(content: bytes, folder: Path) -> None:
    path = _write(folder, content)
    _try_all(_CAPTIONS_READERS, path)
    readers.read_captions(path, folder / _DATA / "images")


def _labels_seeds(folder: Path) -> list[bytes]:
    data = _make_data(folder)
    labels = (data / "labels.tsv").read_text().splitlines(keepends=True)[:8]
    identifiers = "".join(line.replace("\t", "\tn0001\t") for line in labels)
    names = "n0001\tcat, kitten\tanimal\nn0002\thot dog\tfood\n"
    return ["".join(labels).encode(), identifiers.encode(), names.encode(), b"cat\ndog\nhot dog\n"]


def _use_labels(content: bytes, folder: Path) -> None:
    path = _write(folder, content)
    images = folder / _DATA / "images"
    _try_all(_LABELS_READERS, path)
    _try_all(
        (
            lambda path: readers.read_identifiers(path, images, ["n0001"]),
            lambda path: readers.read_named_images(path, images),
            lambda path: readers.read_labels(path, images),
        ),
        path,
    )
    readers.read_labels(folder / _DATA / "labels.tsv", images, split=path, classes=path)


def _try_all(uses: Sequence[Callable[[Path], object]], path: Path) -> None:
    """Hand a file to one reader after the other, whether it is theirs or not."""
    for use in uses:
        try:
            use(path)
        except PicaptionError:
            continue


def _make_data(folder: Path) -> Path:
    """Return the folder of the tiny data, made once."""
    data = folder / _DATA
    if not data.exists():
        data.mkdir()
        tiny.write_data(data)
    return data


def _write(folder: Path, content: bytes) -> Path:
    path = folder / _INPUT
    path.write_bytes(content)
    return path


def _mutate_settings(seed: bytes, generator: random.Random) -> bytes:
    """Return some lines of a seed, mutated: of all of them, one is wrong nearly always."""
    text, events, rest = seed.partition(b"[[event]]")
    lines = text.splitlines(keepends=True)
    chosen = sorted(generator.sample(range(len(lines)), min(len(lines), 4)))
    return mutate_text(b"".join([lines[i] for i in chosen]) + events + rest, generator)


KINDS = (
    Kind("settings", _settings_seeds, _use_settings, _mutate_settings),
    Kind("recipes", _recipes_seeds, _use_recipe, mutate_text),
    Kind("arpa", _arpa_seeds, _use_arpa, mutate_text),
    Kind("captions", _captions_seeds, _use_captions, mutate_text),
    Kind("labels", _labels_seeds, _use_labels, mutate_text),
)
