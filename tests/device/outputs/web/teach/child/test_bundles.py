"""The bundles that were fitted: which one is live, and which was before."""

import pytest

from picaption.device.outputs.web.api.exchange import ApiError
from picaption.device.outputs.web.teach.child.bundles import TaughtBundles


def fit(bundles, name):
    bundles.prepare().write_bytes(name.encode())
    bundles.finish({"labels": [name]})


def labels(bundles):
    """Return the label of the bundle fitted last, of the live one and of the one before."""
    return [summary and summary["labels"][0] for summary in bundles.summaries().values()]


def test_one_goes_live_and_back_and_live_again(tmp_path):
    bundles = TaughtBundles(tmp_path)
    with pytest.raises(ApiError, match="nothing was fitted yet"):
        bundles.go_live()
    fit(bundles, "a")
    assert labels(bundles) == ["a", None, None]
    bundles.go_live()
    assert labels(bundles) == [None, "a", None]
    bundles.go_live()  # Again, where the loop has been given another one.
    assert labels(bundles) == [None, "a", None]
    bundles.go_back()
    assert labels(bundles) == ["a", None, None]
    bundles.go_live()
    fit(bundles, "b")
    bundles.go_live()
    assert labels(bundles) == [None, "b", "a"]
    assert (tmp_path / "live" / "taught.tflite").read_bytes() == b"b"
    bundles.go_back()
    assert labels(bundles) == ["b", "a", None]
    # What was fitted since goes before what was live.
    fit(bundles, "c")
    bundles.go_back()
    assert labels(bundles) == ["c", None, None]
    with pytest.raises(ApiError, match="nothing that was taught is live"):
        bundles.go_back()


def test_a_fit_that_fails_leaves_the_one_before(tmp_path):
    bundles = TaughtBundles(tmp_path)
    fit(bundles, "a")
    bundles.prepare().write_bytes(b"half")
    bundles.discard()
    assert labels(bundles) == ["a", None, None]
    assert [path.name for path in tmp_path.iterdir()] == ["fitted"]


def test_what_an_end_in_the_middle_has_left(tmp_path):
    bundles = TaughtBundles(tmp_path)
    bundles.prepare().write_bytes(b"half")
    (tmp_path / "before").mkdir()
    (tmp_path / "before" / "taught.tflite").write_bytes(b"a")
    TaughtBundles(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_others_have_put_there(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "taught.tflite").write_bytes(b"a")
    (outside / "summary.json").write_text('{"labels": ["secret"]}')
    hidden = tmp_path / "hidden"
    hidden.mkdir()
    (hidden / "fitted").symlink_to(outside)
    (hidden / "new").symlink_to(outside)
    bundles = TaughtBundles(hidden)
    assert labels(bundles) == [None, None, None]
    fit(bundles, "b")
    assert (outside / "taught.tflite").read_bytes() == b"a" and labels(bundles)[0] == "b"
    for text in ("", "[]", "{" * 10, "[" * 100_000):
        (hidden / "fitted" / "summary.json").write_text(text)
        assert bundles.summaries()["fitted"] == {}
