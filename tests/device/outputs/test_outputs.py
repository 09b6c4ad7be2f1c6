"""A new output is a module and a line in the table."""

import subprocess
import sys
from dataclasses import replace

import pytest

from picaption.device.config.settings import Config
from picaption.device.live.loop import run
from picaption.device.live.pipeline import Pipeline
from picaption.device.outputs.outputs import OUTPUTS
from tests.device.fakes.modules import load_module

#: It takes the setting of another output: a new output's own would be a line in settings.py.
MODULE = '''
"""Notes captions."""

SETTINGS = ("video",)


def open_output(config, context):
    return Notes(config.video, context) if config.video else None


class Notes:
    def __init__(self, path, context):
        self.path = path
        self.context = context
        self.captions = []
        self.closed = False

    def write(self, recognized):
        self.captions.append(recognized.json()["caption"]["text"])

    def close(self):
        self.closed = True
'''


def test_a_new_output_is_a_module_and_a_line(tmp_path):
    notes = load_module(tmp_path / "notes.py", MODULE)
    outputs = {"json": OUTPUTS["json"], "notes": notes}
    config = Config(source="demo", size="64x48", quiet=True, threads=1, video="first")
    pipeline = Pipeline(config, outputs=outputs)
    try:
        assert list(pipeline.sinks) == ["notes"]
        first = pipeline.sinks["notes"]
        assert first.context.rate is None and first.context.bundle.name == "everyday"
        run(pipeline, frames=2)
        assert len(first.captions) == 2 and all(first.captions)
        pipeline.reload(replace(config, max_fps=5.0))
        assert pipeline.sinks["notes"] is first
        pipeline.reload(replace(config, video="second"))
        second = pipeline.sinks["notes"]
        assert first.closed and second.path == "second"
    finally:
        pipeline.close()
    assert second.closed


@pytest.mark.parametrize("output", OUTPUTS)
def test_every_output_names_settings_that_exist(output):
    for name in OUTPUTS[output].SETTINGS:
        assert hasattr(Config(), name)


@pytest.mark.parametrize("output", [name for name in OUTPUTS if name != "terminal"])
def test_without_its_settings_an_output_is_not_opened(output):
    assert OUTPUTS[output].open_output(Config(), None) is None


def test_the_table_loads_nothing_that_may_be_missing():
    program = "import sys; from picaption.device.outputs import outputs; print(*sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert not {"starlette", "uvicorn", "paho"} & set(result.stdout.split())
