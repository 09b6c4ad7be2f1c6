"""Scenes are found by words, by meaning and by picture."""

import json
import random
import sqlite3
from contextlib import closing
from datetime import datetime

import numpy as np
import pytest

from picaption.device.bundle.archive import Contents
from picaption.device.bundle.bundle import Bundle
from picaption.device.bundle.metadata import Metadata
from picaption.device.bundle.names import NamedClass
from picaption.device.bundle.vocabulary import SPECIAL_WORDS, Vocabulary
from picaption.device.errors import PicaptionError
from picaption.device.history.captioner.sketch import open_sketcher
from picaption.device.history.reader import HistoryReader, SceneFilter
from picaption.device.history.scene import Scene, SceneImage, quantize
from picaption.device.history.search import meaning
from picaption.device.history.search.search import HistorySearch, fuse
from picaption.device.history.search.words import Synonyms, rank_by_words, split_words
from picaption.device.history.store import HistoryStore
from picaption.device.recognition.recognizer import Recognizer
from picaption.device.recognition.result import Score

CONTENTS = Contents(
    b"",
    Metadata(
        "tiny",
        object_words=(
            ("car", "cars", "automobile"),
            ("dog", "dogs", "puppy"),
            ("hot dog", "hot dogs"),
        ),
        other_things=("train track",),
    ),
    ("car", "dog", "hot dog"),
    Vocabulary(
        [*SPECIAL_WORDS, "a", "car", "dog", "dogs", "hot", "coffee", "puppy", "on", "grass"]
    ),
    (NamedClass("n07920052", "espresso", ("espresso", "coffee", "drink"), ("drink",)),),
)
NOON = int(datetime(2025, 6, 1, 12).timestamp() * 1000)


# --- words


def test_words_are_split_and_bounded():
    assert split_words("A dog's bone, on—the GRASS_green!") == [
        *("a", "dog's", "bone", "on", "the", "grass", "green")
    ]
    assert len(split_words("a " * 99)) == 32
    assert split_words("\0 \ud800 %*") == []


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        # No caption has the word: all others are looked for.
        ("an automobile", [("automobile",), ("car", "cars", "automobile")]),
        # Captions may have this one: the class is enough.
        ("a puppy on the grass", [("puppy",), ("grass",), ("dog",)]),
        ("hot dogs", [("hot",), ("dogs",), ("hot dog",)]),
        ("train track", [("train",), ("track",)]),
        ("it is", [("it",), ("is",)]),  # Nothing else is there.
    ],
)
def test_a_query_names_classes_by_any_of_their_names(query, expected):
    assert Synonyms(CONTENTS).terms(query.split()) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("an automobile on grass", "an car on grass"),
        ("an espresso", "an coffee"),
        ("a puppy", "a puppy"),
        ("two zebras", "two zebras"),
    ],
)
def test_words_that_the_captioner_does_not_know_are_replaced(query, expected):
    assert " ".join(Synonyms(CONTENTS).in_vocabulary(query.split())) == expected


@pytest.fixture
def word_reader(tmp_path):
    captions = {
        1: "a man is riding a bike",
        2: "two puppies playing on the grass",
        3: "grass",
        4: "a parked automobile",
        5: "dogs running",
    }
    with closing(HistoryStore(tmp_path / "history.db")) as store:
        with store.transaction():
            for number, caption in captions.items():
                classes = (Score("bicycle", 0.9),) if number == 1 else ()
                store.add(Scene(number, number, caption=caption, classes=classes), SceneImage())
            store.index([1, 2, 3, 4])
        with closing(HistoryReader(tmp_path / "history.db")) as reader:
            yield reader


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("dog", [[], [5]]),  # The newest is not in the index.
        ("puppy", [[2], [5]]),  # By its class.
        ("bicycles", [[1], []]),  # Its class says so.
        ("played on grass", [[2, 3], []]),
        ("cars", [[4], []]),
        ("submarine", [[], []]),
        ("", [[], []]),
        ('" NEAR(x*', [[], []]),
    ],
)
def test_scenes_are_ranked_by_stems_and_synonyms(word_reader, query, expected):
    terms = Synonyms(CONTENTS).terms(split_words(query))
    assert rank_by_words(word_reader, terms, 10) == expected
    assert rank_by_words(word_reader, terms, 10, (5, 9)) == [[], expected[1]]


# --- fusion


def test_reciprocal_ranks_are_added():
    fused = fuse([("words", [7, 8]), ("meaning", [8, 9])], {"words": 0.5})
    assert [(number, names) for number, _, names in fused] == [
        (8, ("words", "meaning")),
        (9, ("meaning",)),
        (7, ("words",)),
    ]
    assert [score for _, score, _ in fused] == pytest.approx([0.5 / 62 + 1 / 61, 1 / 62, 0.5 / 61])


# --- meaning and picture, with the small bundle


@pytest.fixture(scope="module")
def history(tmp_path_factory, bundle, photos):
    """A history of each photograph five times, a little lighter each time, and the ids by name."""
    path = tmp_path_factory.mktemp("history") / "history.db"
    recognizer = Recognizer(Bundle(bundle, threads=1))
    sketcher = open_sketcher(bundle)
    ids = {}
    with closing(HistoryStore(path)) as store, store.transaction():
        for step in range(5):
            for number, (name, photo) in enumerate(sorted(photos.items())):
                image = np.clip(photo.astype(int) + 2 * step, 0, 255).astype(np.uint8)
                recognition = recognizer(image)
                features = recognition.encoded.features[0]
                scene = Scene(
                    NOON + 60_000 * (10 * step + number),
                    NOON + 60_000 * (10 * step + number) + 5000,
                    f"camera {step}",
                    caption=recognition.caption.text,
                    encoder=sketcher.encoder,
                )
                remembered = SceneImage(quantize(features), sketch=sketcher.sketch(features))
                ids[name, step] = store.add(scene, remembered)
        store.index(ids.values())
    return path, ids


@pytest.fixture
def reader(history):
    with closing(HistoryReader(history[0])) as reader:
        yield reader


@pytest.fixture
def search(bundle):
    return HistorySearch(bundle)


def test_a_caption_finds_its_picture_by_meaning(reader, history, search):
    index = search._index
    index.load(reader)
    for name, step in history[1]:
        scene = reader.scene(history[1][name, step])
        ranking = index.rank(scene.caption.split())
        best = {reader.scene(number).caption for number in ranking.ids[:1].tolist()}
        assert best == {scene.caption}
        assert (np.diff(ranking.scores) <= 0).all()


def test_the_exact_scores_are_what_the_formula_says(reader, search):
    index = search._index
    index.load(reader)
    captioner = search._index._captioner
    words = reader.scenes(SceneFilter(), 1)[0].caption.split()[:4]
    ranking = index.rank(words)
    positions = captioner.positions(words)
    assert len(positions) <= meaning.EXACT_WORDS  # So that all is exact.
    sketches = index.sketches.floats(slice(None))
    expected = captioner.log_probabilities(positions, sketches).sum(axis=1)
    expected -= captioner.log_probabilities(positions, sketches.mean(axis=0)[None]).sum()
    typicality = index.sketches.typicality - index.sketches.typicality.mean()
    expected -= meaning.TYPICALITY_WEIGHT * len(positions) * typicality
    tags = list(open_sketcher(search.bundle).tags)
    named = [tags.index(word) for word in dict.fromkeys(words) if word in tags]
    if named:
        shares = 1 / (1 + np.exp(-captioner.tag_logits(sketches, named)))
        expected += meaning.TAG_WEIGHT * np.log(np.maximum(shares, 1e-3)).sum(axis=1)
    # What the sentence does not fit is not there.
    fitting = expected >= meaning.LEAST_FIT * len(positions)
    assert 0 < fitting.sum() < len(fitting)
    by_id = dict(zip(index.ids[fitting].tolist(), expected[fitting].tolist()))
    actual = dict(zip(ranking.ids.tolist(), ranking.scores.tolist()))
    assert actual == pytest.approx(by_id, abs=1e-3)


def test_a_search_keeps_to_a_filter(reader, history, search):
    caption = reader.scenes(SceneFilter(), 1)[0].caption
    every = search.by_text(reader, caption, limit=100)
    # Those of other photographs, which no part of the caption fits, are not among them.
    assert 5 <= len(every) < len(history[1])
    wanted = SceneFilter(camera="camera 2")
    hits = search.by_text(reader, caption, wanted, limit=100)
    every_id = {hit.scene.id for hit in every}
    assert {hit.scene.id for hit in hits} == every_id & set(reader.ids(wanted)) != set()
    assert len(search.by_text(reader, caption, limit=2)) == 2
    assert search.by_text(reader, "qwertz") == []


def test_a_scene_is_like_those_of_the_same_photograph(reader, history, search):
    for name in {name for name, _ in history[1]}:
        hits = search.like(reader, history[1][name, 2], limit=2)
        assert {hit.scene.id for hit in hits} == {history[1][name, 1], history[1][name, 3]}
        assert all(0.9 < hit.score <= 1.0001 for hit in hits)
        assert hits[0].found_by == ("picture",)
    assert search.like(reader, 1) == []


def test_scenes_are_like_one_and_fit_a_text(reader, history, search):
    scene = reader.scenes(SceneFilter(), 1)[0]
    described = {hit.scene.id for hit in search.by_text(reader, scene.caption, limit=100)}
    hits = search.by_text(reader, scene.caption, limit=100, like=scene.id)
    assert {hit.scene.id for hit in hits} == described - {scene.id}
    assert hits[0].found_by == ("words", "meaning", "picture")
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)
    assert search.by_text(reader, "qwertz", like=scene.id) == []


def test_likeness_needs_no_sketches(reader, history, search):
    scene_id = next(iter(history[1].values()))
    with_sketches = search.like(reader, scene_id)
    search._index = None
    without = search.like(reader, scene_id)
    assert [hit.scene.id for hit in without] == [hit.scene.id for hit in with_sketches]


def test_scenes_of_another_encoder_are_found_by_words_alone(tmp_path, search):
    with closing(HistoryStore(tmp_path / "history.db")) as store:
        with store.transaction():
            noise = random.Random(0).randbytes(16 + search._index._captioner.sketch_size)
            store.add(Scene(1, 1, caption="a zebra"), SceneImage(sketch=noise))
        with closing(HistoryReader(tmp_path / "history.db")) as reader:
            [hit] = search.by_text(reader, "zebras")
            assert hit.found_by == ("words",)
            # What comes later, or goes, is known in the next search.
            with store.transaction():
                store.add(Scene(2, 2, caption="two zebras"), SceneImage())
            assert len(search.by_text(reader, "zebras")) == 2
            store.erase(1, 2)
            assert [hit.scene.id for hit in search.by_text(reader, "zebras")] == [2]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE scene SET tags = '{'",
        "UPDATE scene SET classes = '[1]'",
        "UPDATE sketch SET sketch = substr(sketch, 1, 20)",
        "UPDATE image SET features = x'ffff'",
    ],
)
def test_a_history_with_rows_of_others_is_one_line(tmp_path, history, search, change):
    path = tmp_path / "history.db"
    path.write_bytes(history[0].read_bytes())
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(change)
        connection.commit()
    with (
        closing(HistoryReader(path)) as reader,
        pytest.raises(PicaptionError, match="history.db cannot be read") as error,
    ):
        search.by_text(reader, "a cat")
        search.like(reader, next(iter(history[1].values())))
    assert "\n" not in str(error.value)


# --- the command


def test_the_command_finds_scenes(call, history, bundle, reader):
    path, ids = history
    caption = reader.scenes(SceneFilter(), 1)[0].caption
    options = ("--history", path, "--bundle", bundle)
    code, output, errors = call("search", *caption.split(), *options, "--limit", 3)
    lines = output.splitlines()
    assert code == 0 and len(lines) == 3
    assert lines[0].startswith("2025-06-01 12:") and caption in lines[0]
    assert f"{path}: {len(ids)} scenes since 2025-06-01" in errors
    code, output, _ = call("search", caption, *options, "--json", "--since", "2025-06-01 12:20")
    hits = [json.loads(line) for line in output.splitlines()]
    assert hits and all(hit["end"] >= (NOON + 20 * 60_000) / 1000 for hit in hits)
    assert hits[0]["caption"] == caption and hits[0]["found_by"] == ["words", "meaning"]
    code, output, _ = call("search", "--like", hits[0]["id"], *options, "--json", "--limit", 1)
    assert json.loads(output)["score"] > 0.9
    both = ("--like", hits[0]["id"], *options, "--json", "--limit", 1)
    code, output, _ = call("search", caption, *both)
    assert json.loads(output)["found_by"] == ["words", "meaning", "picture"]
    code, output, errors = call("search", "qwertz", *options, "--until", "2020-01-01")
    assert (code, output) == (0, "") and "nothing was found" in errors


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("--history", "x.db"), "say what to search for"),
        (("cat",), "there is no history: set history in picaption.toml, or --history"),
        (("cat", "--history", "x.db"), "there is no file x.db"),
        (("cat", "--like", 5), "there is no history: set history in picaption.toml"),
        (("cat", "--since", "soon", "--history", "x.db"), "'soon' is not a time"),
    ],
)
def test_what_cannot_be_searched_is_one_line(call, tmp_path, monkeypatch, arguments, problem):
    monkeypatch.chdir(tmp_path)
    code, output, errors = call("search", *arguments)
    assert (code, output) == (2, "")
    assert errors.startswith("picaption: ") and problem in errors and errors.count("\n") == 1
