"""The same recipe trains on another of Keras' backends, and the result converts the same way."""

import dataclasses
import importlib.util
import json
import os
import subprocess
import sys

import pytest

from picaption.convert.convert import convert
from picaption.models.settings import Settings


@pytest.mark.timeout(600)
@pytest.mark.skipif(not importlib.util.find_spec("jax"), reason="asks JAX: pip install jax")
def test_a_run_trained_on_jax_converts(data, settings, tmp_path):
    quick = dataclasses.asdict(dataclasses.replace(settings, epochs=3, warm_up_epochs=1))
    usual = dataclasses.asdict(Settings())
    lines = [
        f"{name} = {json.dumps(value)}\n" for name, value in quick.items() if value != usual[name]
    ]
    (tmp_path / "tiny.toml").write_text("".join(lines))
    run = tmp_path / "run"
    command = [
        sys.executable,
        "-c",
        "from picaption.device.cli import main; main()",
        "train",
        tmp_path / "tiny.toml",
        "--data",
        data,
        "--out",
        run,
    ]
    subprocess.run(command, env=os.environ | {"KERAS_BACKEND": "jax"}, check=True)
    agreement = convert(run, tmp_path / "tiny.tflite", data / "images")
    assert agreement.features < 0.05 and agreement.words < 0.08 and agreement.classes < 0.02
