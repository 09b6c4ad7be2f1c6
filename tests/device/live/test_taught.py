"""The bundle that the page has taught: used from the next start on, or at once, and left again."""

import shutil
from dataclasses import replace

import pytest

from picaption.device.commands import print_start
from picaption.device.config.settings import Config
from picaption.device.live.pipeline import Pipeline
from picaption.device.live.requests import RequestHandler
from picaption.device.teaching.live_bundle import live_bundle
from tests.tiny import TINY_BUNDLE


@pytest.fixture
def opened(tmp_path):
    """Opens the pipeline of the demo that teaches in tmp_path; closes it in the end."""
    made = []

    def opened(**settings):
        config = Config(
            source="demo",
            size="64x48",
            quiet=True,
            threads=1,
            bundle=str(TINY_BUNDLE),
            teach=str(tmp_path),
        )
        made.append(Pipeline(replace(config, **settings)))
        return made[-1]

    yield opened
    for pipeline in made:
        pipeline.close()


def put(folder, data):
    path = live_bundle(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def used(pipeline):
    state = pipeline.control.state
    return pipeline.config.bundle, state.path, state.is_taught


def test_what_is_live_in_the_folder_is_used_from_the_start(opened, tmp_path, capsys):
    assert used(opened()) == (str(TINY_BUNDLE), str(TINY_BUNDLE), False)
    put(tmp_path, TINY_BUNDLE.read_bytes())
    taught = str(live_bundle(tmp_path))
    assert used(opened()) == (taught, taught, True)
    print_start(opened())
    expected = f"classes: taught in {tmp_path}: cat, cup, person, spoon"
    assert capsys.readouterr().err.splitlines() == ["source: demo; stop with ctrl-C", expected]
    # Without the setting it is nobody's.
    assert used(opened(teach="")) == (str(TINY_BUNDLE), str(TINY_BUNDLE), False)


def test_a_bad_one_does_not_keep_the_run_from_starting(opened, tmp_path, caplog):
    put(tmp_path, b"garbage")
    assert used(opened()) == (str(TINY_BUNDLE), str(TINY_BUNDLE), False)
    assert "; what was taught is not used" in caplog.text and len(caplog.records) == 1


def test_it_goes_live_and_back_while_the_page_stays_open(opened, tmp_path, caplog):
    pipeline = opened(web=True, port=0)
    handler = RequestHandler(pipeline)
    page = pipeline.sinks["web"]
    before = pipeline.recognizer
    put(tmp_path, TINY_BUNDLE.read_bytes())
    pipeline.control.use_taught()
    assert handler.obey() and pipeline.control.state.is_taught
    assert pipeline.sinks["web"] is page and pipeline.recognizer is not before
    # SIGHUP has the settings hold, of which the folder is one.
    pipeline.reload(replace(pipeline.config, bundle=str(TINY_BUNDLE)))
    assert pipeline.control.state.is_taught
    # One that is damaged replaces nothing, and the page can say why.
    taught = pipeline.recognizer
    shutil.copy(live_bundle(tmp_path), tmp_path / "good")
    put(tmp_path, TINY_BUNDLE.read_bytes()[:5000])
    pipeline.control.use_taught()
    handler.obey()
    state = pipeline.control.state
    assert pipeline.recognizer is taught and state.is_taught
    assert "taught.tflite" in state.taught_problem and "stays as it was" in caplog.text
    live_bundle(tmp_path).unlink()
    pipeline.control.use_taught()
    handler.obey()
    assert used(pipeline) == (str(TINY_BUNDLE), str(TINY_BUNDLE), False)
    state = pipeline.control.state
    assert (state.taught_changes, state.taught_problem) == (3, "")
