"""What every conversion shares: the better of two candidates, and nothing written beyond bounds."""

from dataclasses import replace

import pytest

from picaption.convert.conversion import Candidate, keep_better, open_contents
from picaption.convert.convert import convert
from picaption.convert.options import Agreement, ConversionOptions
from picaption.device import PicaptionError
from picaption.device.bundle.archive import read_bundle

#: A file that a bundle may be written over begins as TFLite files do.
BEFORE = b"\x1c\0\0\0TFL3 what was there"
#: No quantized bundle keeps these.
NARROW = Agreement(features=1e-9, words=1e-9, classes=1e-9, caption=0, top=0, largest=1)


@pytest.mark.parametrize(
    ("first", "tuned", "max_loss", "best", "outcome"),
    [
        (0.5, None, 1.0, 0.5, None),
        (1.0, None, 1.0, 1.0, None),
        (9.0, 2.0, 1.0, 2.0, {"bound": 1.0, "lost": 9.0, "lost_tuned": 2.0}),
        (9.0, 9.5, 1.0, 9.0, {"bound": 1.0, "lost": 9.0, "lost_tuned": 9.5}),
    ],
)
def test_the_better_is_kept(bundle, first, tuned, max_loss, best, outcome):
    contents = read_bundle(bundle)

    def candidate(points):
        return Candidate({"points": points}, b"", contents)

    result = keep_better(
        candidate(first),
        lambda: candidate(tuned),
        lambda candidate: candidate.functions["points"],
        max_loss,
    )
    assert result.functions["points"] == best
    assert result.contents.metadata.provenance.get("tuned") == outcome
    assert open_contents(result.contents).labels == contents.labels
    assert replace(result.contents, metadata=contents.metadata) == contents


def test_disagreement_beyond_the_bound_is_reported_and_writes_nothing(run, data, tmp_path):
    output = tmp_path / "old.tflite"
    output.write_bytes(BEFORE)
    reports = []
    options = ConversionOptions(bounds=replace(NARROW, words=1.0, classes=1.0))
    message = "is not written: its features differ from the float model .*; give more represent"
    with pytest.raises(PicaptionError, match=message):
        convert(run, output, data / "images", options, on_report=reports.append)
    assert reports[0].beyond == ("features",)
    assert reports[0].advice[0].symptom.startswith("no bundle was written: its features")
    with pytest.raises(PicaptionError, match="its features differ .*; leave out --per-tensor"):
        convert(run, output, data / "images", ConversionOptions(per_tensor=True, bounds=NARROW))
    assert output.read_bytes() == BEFORE
    assert [path.name for path in tmp_path.iterdir()] == ["old.tflite"]
