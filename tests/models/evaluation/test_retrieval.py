"""How well captions find their pictures, on photographs of the demo."""

import json

import numpy as np
import pytest

from picaption.device.errors import PicaptionError
from picaption.device.history.search.search import HistorySearch
from picaption.device.images import write_image
from picaption.models.evaluation import retrieval
from picaption.models.evaluation.retrieval import evaluate_retrieval, main
from tests.tiny import CAPTIONS_AND_LABELS, TINY_BUNDLE


@pytest.fixture(scope="module")
def captioned(tmp_path_factory, photos):
    """A folder of the photographs, and a caption file with two captions of each."""
    folder = tmp_path_factory.mktemp("captioned")
    lines = []
    for name, photo in photos.items():
        write_image(folder / f"{name}.jpg", photo)
        for index, caption in enumerate(CAPTIONS_AND_LABELS[name][0]):
            lines.append(f"{name}.jpg#{index}\t{caption}\n")
    captions = folder / "captions.token.txt"
    captions.write_text("".join(lines))
    return captions


def test_every_way_to_search_is_measured(captioned):
    figures = evaluate_retrieval(TINY_BUNDLE, captioned, captioned.parent, threads=1)
    assert [row.way for row in figures] == ["words", "meaning", "both"]
    for row in figures:
        assert (row.images, row.queries) == (3, 6)
        assert row.recall[1] <= row.recall[5]
        assert row.query_ms > 0
    # The bundle was trained on parts of these photographs: by meaning, it finds all of three.
    assert figures[1].recall == {1: 100.0, 5: 100.0, 10: 100.0}
    assert figures[1].median_rank == 1


def test_recalls_are_shares_of_the_queries(monkeypatch, captioned, tmp_path):
    """With rankings known beforehand: the scene looked for is second, first and not there."""
    rankings = iter([[20, 10], [20], [30, 40]])

    class Scripted(HistorySearch):
        def rankings(self, reader, words, wanted=None):
            return [("words", []), ("meaning", next(rankings))]

    path = tmp_path / "history.db"
    retrieval.HistoryStore(path).close()
    queries = [(10, "a"), (20, "b"), (10, "c")]
    figures = retrieval.measure_retrieval(path, Scripted(TINY_BUNDLE), queries)
    assert [row.way for row in figures] == ["words", "meaning", "both"]
    assert figures[1].recall == {1: 33.3, 5: 66.7, 10: 66.7}
    assert figures[1].median_rank == 2
    assert figures[0].recall == {1: 0.0, 5: 0.0, 10: 0.0} and np.isinf(figures[0].median_rank)


def test_the_program_prints_a_table_or_json(captioned, tmp_path, capsys):
    split = tmp_path / "split.txt"
    split.write_text("cat.jpg\ncoffee.jpg\n")
    arguments = [str(TINY_BUNDLE), str(captioned), str(captioned.parent), "--split", str(split)]
    main(arguments, standalone_mode=False)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("2 pictures, 4 captions, ")
    assert [line.split()[0] for line in lines[1:]] == ["by", "words", "meaning", "both"]
    main([*arguments, "--captions-per-image", "1", "--json"], standalone_mode=False)
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [row["queries"] for row in rows] == [2, 2, 2]


def test_captions_of_other_images_are_one_line(captioned, tmp_path):
    split = tmp_path / "split.txt"
    split.write_text("dog.jpg\n")
    with pytest.raises(PicaptionError, match="has no caption of these images; check --split"):
        evaluate_retrieval(TINY_BUNDLE, captioned, captioned.parent, split)
