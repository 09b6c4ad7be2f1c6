"""`picaption serve`, as a program: it answers without a camera, and ends with a signal."""

import json
import os
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from picaption.device.config.settings import Config
from picaption.device.errors import PicaptionError
from picaption.device.live.serve import open_server
from tests.tiny import DEMO, TINY_BUNDLE

TOKEN = "a-token-of-more-than-16"


def test_it_answers_until_a_signal_comes():
    command = ["serve", "--bundle", str(TINY_BUNDLE), "--port", "0", "--threads", "1"]
    process = subprocess.Popen(
        [sys.executable, "-c", "from picaption.device.cli import main; main()", *command],
        env=os.environ | {"PICAPTION_TOKEN": TOKEN},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        line = process.stderr.readline()
        address = re.fullmatch(
            r"answers at (http://\S+/), with the token; stop with ctrl-C\n", line
        )
        assert address, line
        headers = {"Authorization": f"Bearer {TOKEN}"}

        def ask(path, body=None):
            request = urllib.request.Request(address[1] + path, body, headers)
            with urllib.request.urlopen(request, timeout=60) as response:
                return response.read().decode()

        photo = (DEMO / "cat.jpg").read_bytes()
        assert json.loads(ask("recognize", photo))["caption"]["text"]
        assert "POST /v1/chat/completions\n" in ask("")
        assert json.loads(ask("readyz")) == {"ready": True}
        assert 'path="/recognize",status="200"} 1.0' in ask("metrics")
        hello = {"model": "picaption", "prompt": "Hi", "stream": False}
        answer = json.loads(ask("api/generate", json.dumps(hello).encode()))
        assert answer["response"].startswith("picaption says what a picture shows")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            ask("snapshot.jpg")
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
        assert process.stderr.read() == ""
        process.stderr.close()


def test_what_keeps_it_from_answering_is_one_line(tmp_path):
    with pytest.raises(PicaptionError, match="absent.tflite"):
        open_server(Config(bundle=str(tmp_path / "absent.tflite"), port=0))
    with pytest.raises(PicaptionError, match="set a token"):
        open_server(Config(host="0.0.0.0", port=0))
