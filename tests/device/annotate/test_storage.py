import json
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest

from picaption.device.annotate.rows import Row, to_text
from picaption.device.annotate.storage.formats import (
    count_rows,
    to_json_lines,
    to_metadata,
    to_parquet,
)
from picaption.device.annotate.storage.store import open_store
from picaption.device.annotate.storage.xmp import is_own, keywords_of, to_sidecar
from picaption.device.errors import PicaptionError

ROW = Row(
    path="a.jpg",
    size=5,
    hash="ab",
    caption="a <cat> & a dog",
    confidence=0.5,
    unsure=True,
    tags=["cat", "fur"],
    tag_scores=[0.875, 0.5],
    classes=["cat", "bus"],
    scores=[0.75, 0.125],
    certain=[True, False],
    names=["tabby"],
    silence=None,
    features=np.array([0.5, 1.5], np.float32),
)
SILENT = Row("b.jpg", 6, "cd", None, None, False, [], [], [], [], [], [], "too dark to tell")


def test_parquet_has_the_rows():
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    data = to_parquet([ROW, SILENT], feature_size=2)
    table = parquet.read_table(pyarrow.BufferReader(data))
    assert table.schema.field("features").type == pyarrow.list_(pyarrow.float32(), 2)
    first, second = table.to_pylist()
    assert first == ROW.to_json() and first["features"] == [0.5, 1.5]
    assert second == SILENT.to_json() | {"features": None}
    assert data == to_parquet([ROW, SILENT], feature_size=2)
    assert "features" not in parquet.read_schema(pyarrow.BufferReader(to_parquet([ROW]))).names
    assert count_rows(data, "parquet") == 2 and count_rows(to_parquet([]), "parquet") == 0


def test_json_lines_have_the_rows():
    data = to_json_lines([ROW, SILENT])
    first, second = map(json.loads, data.splitlines())
    assert first == ROW.to_json() and second["silence"] == "too dark to tell"
    assert count_rows(data, "jsonl") == 2


def test_metadata_names_the_file():
    line = to_json_lines([SILENT]).strip()
    form = json.loads(to_metadata(line, lambda path: f"x/{path}"))
    assert next(iter(form)) == "file_name" and form["file_name"] == "x/b.jpg"
    assert "path" not in form and form["silence"] == "too dark to tell"


def test_a_sidecar_has_description_and_keywords():
    data = to_sidecar(ROW)
    root = ElementTree.fromstring(data)
    names = {
        "rdf": "http://www.w3.org/1999/02/22-rdf-syntax-ns#",
        "dc": "http://purl.org/dc/elements/1.1/",
    }
    assert root.find(".//dc:description/rdf:Alt/rdf:li", names).text == "perhaps a <cat> & a dog"
    keywords = [item.text for item in root.findall(".//dc:subject/rdf:Bag/rdf:li", names)]
    assert keywords == keywords_of(ROW) == ["cat", "tabby", "fur"]
    assert is_own(data) and not is_own(data.replace(b"picaption", b"digiKam"))
    ElementTree.fromstring(to_sidecar(SILENT))


def test_a_bundles_words_cannot_break_a_sidecar():
    hostile = Row("a", 1, "", "x\0\x1b]0;<!--", 0.1, False, ["]]>"], [1], [], [], [], [], None)
    root = ElementTree.fromstring(to_sidecar(hostile))
    assert "x]0;<!--" in "".join(root.itertext()) and "]]>" in "".join(root.itertext())


def test_paths_are_text():
    assert to_text("a/ü.jpg") == "a/ü.jpg"
    assert to_text("a\udcff.jpg") == "a\\xff.jpg"


@pytest.mark.parametrize("place", ["folder", "memory"])
def test_a_store_keeps_what_is_written(tmp_path, place):
    if place == "memory":
        pytest.importorskip("fsspec")
    store = open_store(f"memory://{tmp_path}" if place == "memory" else str(tmp_path / "out"))
    assert store.read("a") is None and list(store.names("")) == []
    store.write("a", b"1")
    store.write("b/c", b"2")
    store.write("a", b"3")
    assert store.read("a") == b"3" and sorted(store.names("b")) == ["c"]
    store.remove("a")
    store.remove("a")
    assert sorted(store.names("")) == ["b"]


def test_what_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").touch()
    store = open_store(str(tmp_path / "file"))
    with pytest.raises(PicaptionError, match="file/a cannot be written .*; check the folder"):
        store.write("a", b"1")
