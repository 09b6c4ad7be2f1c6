"""A new source is a module and a line in the table."""

from dataclasses import replace
from functools import partial

from picaption.device.config.settings import Config
from picaption.device.live.loop import run
from picaption.device.live.pipeline import Pipeline, open_configured_source
from picaption.device.sources.sources import SOURCES, open_source
from tests.device.fakes.modules import load_module
from tests.device.fakes.standins import Collector

MODULE = '''
"""Grey frames."""

import numpy as np


def open_source(spec, controls):
    return Grey(controls.size) if spec == "grey" else None


class Grey:
    name = "grey"
    live = False
    stills = False
    rate = None
    metadata = None

    def __init__(self, size):
        self._size = size

    def read(self, into=None):
        width, height = self._size
        return np.full((height, width, 3), 128, np.uint8)

    def close(self):
        pass
'''


def test_a_new_source_is_a_module_and_a_line(tmp_path):
    table = (*SOURCES, load_module(tmp_path / "grey.py", MODULE))
    assert open_source("grey", sources=table).name == "grey"
    assert open_source("demo", sources=table).name == "demo"
    config = Config(source="grey", size="64x48", quiet=True, threads=1)
    sink = Collector()
    pipeline = Pipeline(config, partial(open_configured_source, sources=table))
    try:
        pipeline.sinks["collector"] = sink
        assert pipeline.name == "grey" and run(pipeline, frames=2).frames == 2
        pipeline.reload(replace(config, source="demo"))
        assert pipeline.name == "demo"
    finally:
        pipeline.close()
    assert [value for value, _ in sink.got] == [128, 128]
