"""What can go wrong with live runs, as processes of their own.

Nothing is corrupted, and they go on or say why not.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import pytest
from paho.mqtt import subscribe

from picaption.device import default_bundle
from picaption.device.images import encode_image, list_images, read_image
from picaption.device.sources.demo_frames import DEMO_IMAGES
from tests.device.fakes.servers import Broker, free_port

PROGRAM = """
from picaption.device.cli import main
from picaption.device.commands import live_command
main(command=live_command, name="picaption live")
"""
#: Adds its argument to a file.
NOTE = "import sys; open('noted', 'a').write(sys.argv[1] + chr(10))"


@pytest.fixture
def live(tmp_path):
    """Starts `picaption live` with options, in a folder of its own; ends what still runs."""
    running = []

    def start(*options, stderr=subprocess.PIPE):
        environment = os.environ | {"XDG_CONFIG_HOME": str(tmp_path)}
        running.append(
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM, *map(str, options)],
                cwd=tmp_path,
                env=environment,
                text=True,
                stdout=subprocess.PIPE,
                stderr=stderr,
            )
        )
        return running[-1]

    yield start
    for process in running:
        process.kill()
        process.communicate()


def lines_of(path):
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def wait_for(condition, seconds=120):
    """Return the first true value of `condition()`; fails if there is none in time."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
    return value


def wait_for_lines(path, count):
    wait_for(lambda: len(lines_of(path)) >= count)


class Camera(BaseHTTPRequestHandler):
    """Streams a cup of coffee as MJPEG; every third image is cut short, every fifth is none."""

    coffee = next(path for path in list_images(DEMO_IMAGES) if path.stem == "coffee")
    jpeg = encode_image(read_image(coffee), ".jpg")

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        try:
            for number in range(1, 100_000):
                data = self.jpeg
                if number % 5 == 0:
                    data = b"\0" * 2000
                elif number % 3 == 0:
                    data = self.jpeg[: len(self.jpeg) // 2]
                self.wfile.write(
                    b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n%b\r\n"
                    % (len(data), data)
                )
                self.server.streams.add(self.connection)
                time.sleep(0.02)
        except OSError:
            pass

    def log_message(self, *_):
        """Be quiet."""


def camera(port):
    """Return a camera in the network at that port, running."""
    server = ThreadingHTTPServer(("127.0.0.1", port), Camera)
    server.daemon_threads = True
    server.streams = set()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def unplug(server):
    server.shutdown()
    server.server_close()
    for connection in server.streams:
        with contextlib.suppress(OSError):
            connection.shutdown(socket.SHUT_RDWR)


def test_a_camera_with_corrupt_frames_that_goes_and_comes_back(live, tmp_path):
    port = free_port()
    jsonl = tmp_path / "said.jsonl"
    server = camera(port)
    process = live(
        "--source",
        f"http://anna:s3cret@127.0.0.1:{port}/",
        "--json",
        jsonl,
        "--json-every",
        0,
        "--quiet",
        "--stall",
        2,
    )
    wait_for(lambda: len(lines_of(jsonl)) > 20)
    unplug(server)
    time.sleep(0.3)
    before = len(lines_of(jsonl))
    server = camera(port)
    wait_for(lambda: len(lines_of(jsonl)) > before + 20)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=120)
    unplug(server)
    assert process.returncode == 0
    frames = [line["frame"] for line in lines_of(jsonl)]
    assert frames == sorted(set(frames)) and all(
        line["caption"]["text"] for line in lines_of(jsonl)
    )
    assert "tried again in 1 s" in err and "s3cret" not in err


def test_a_camera_that_does_not_come_back_ends_the_run_with_its_own_code(live, tmp_path):
    port = free_port()
    server = camera(port)
    process = live(
        "--source",
        f"http://127.0.0.1:{port}/",
        "--quiet",
        "--retries",
        2,
        "--stall",
        2,
        "--video",
        "said.avi",
    )
    wait_for(lambda: (tmp_path / ".partial.said.avi").exists())
    unplug(server)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 75 and err.splitlines()[-1].endswith(
        "given up after 2 failures in a row"
    )
    assert cv2.VideoCapture(str(tmp_path / "said.avi")).grab()


def test_sighup_takes_new_settings_and_refuses_bad_ones(live, tmp_path):
    settings = tmp_path / "picaption.toml"
    bundle = tmp_path / "mine.tflite"
    shutil.copy(default_bundle(), bundle)

    def write(**values):
        text = "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items())
        settings.write_text(
            f'source = "demo"\nbundle = "mine.tflite"\nquiet = true\njson_every = 0\n{text}'
        )

    errors = tmp_path / "errors"
    write(json="one.jsonl")
    with open(errors, "w") as file:
        process = live(stderr=file)
    wait_for(lambda: len(lines_of(tmp_path / "one.jsonl")) > 3)
    write(json="two.jsonl")
    process.send_signal(signal.SIGHUP)
    wait_for(lambda: len(lines_of(tmp_path / "two.jsonl")) > 3)
    write(json="two.jsonl", prot=1)
    bundle.write_bytes(bundle.read_bytes()[:100_000])
    process.send_signal(signal.SIGHUP)
    wait_for(lambda: "the settings stay as they were" in errors.read_text())
    write(json="no/such/folder/of-sixteen-letters", token="of-sixteen-letters")
    process.send_signal(signal.SIGHUP)
    wait_for(lambda: "json stays as it was" in errors.read_text())
    write(json="two.jsonl", hflip=True)
    process.send_signal(signal.SIGHUP)
    count = len(lines_of(tmp_path / "two.jsonl"))
    wait_for(lambda: len(lines_of(tmp_path / "two.jsonl")) > count + 10)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=120) == 0
    err = errors.read_text()
    assert "picaption.toml:6: no setting is called 'prot'" in err
    assert "the settings stay as they were" in err
    assert "mine.tflite" in err and "the bundle stays as it was" in err
    assert "no/such/folder/***" in err and "json stays as it was" in err
    assert "of-sixteen-letters" not in err


def test_sigterm_in_the_middle_of_writing_leaves_complete_files(live, tmp_path):
    for pause in (0.0, 0.05, 0.11):
        jsonl = tmp_path / f"{pause}.jsonl"
        video = tmp_path / f"{pause}.avi"
        process = live(
            *("--source", "demo", "--size", "320x240", "--json", jsonl, "--json-every", 0),
            *("--video", video, "--quiet"),
        )
        wait_for_lines(jsonl, 3)
        time.sleep(pause)
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=120) == ("", "") and process.returncode == 0
        assert jsonl.read_bytes().endswith(b"\n") and len(lines_of(jsonl)) > 2
        assert cv2.VideoCapture(str(video)).grab()
    assert not [path for path in os.listdir(tmp_path) if ".part" in path]


def test_killed_at_once_the_lines_are_complete_and_the_next_run_goes_on_behind_them(live, tmp_path):
    jsonl = tmp_path / "said.jsonl"
    for _ in range(2):
        arguments = ("--source", "demo", "--size", "320x240", "--json-every", 0, "--quiet")
        process = live(*arguments, "--json", jsonl)
        before = len(lines_of(jsonl))
        wait_for_lines(jsonl, before + 4)
        process.kill()
        process.wait()
    assert jsonl.read_bytes().endswith(b"\n") and len(lines_of(jsonl)) > 6


def test_all_outputs_at_once_from_one_file(live, tmp_path):
    (tmp_path / "broker").mkdir()
    broker = Broker(tmp_path / "broker")
    (tmp_path / "picaption.toml").write_text(f"""
source = "demo"
size = "320x240"
json = "said.jsonl"
json_every = 0
json_megabytes = 0.02
video = "said.avi"
web = true
port = 0
token = "sixteen letters!"
mqtt = "127.0.0.1:{broker.port}"
[[event]]
caption = true
run = ["{sys.executable}", "-c", "{NOTE}", "{{caption}}"]
every = 0
""")
    process = live()
    source, page = (process.stderr.readline() for _ in range(2))
    assert source == "source: demo; stop with ctrl-C\n" and page.startswith(
        "page: http://127.0.0.1:"
    )
    request = urllib.request.Request(
        page.split()[1].rstrip(",") + "events", headers={"Authorization": "Bearer sixteen letters!"}
    )
    with urllib.request.urlopen(request, timeout=120) as events:
        while not (shown := events.readline()).startswith(b'data: {"version"'):
            pass
    state = subscribe.simple("picaption/state", hostname="127.0.0.1", port=broker.port).payload
    wait_for(lambda: (tmp_path / "noted").exists() and (tmp_path / "said.jsonl.2").exists())
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    broker.kill()
    assert (
        process.returncode == 0
        and " | " in out
        and " fps" in err
        and "sixteen letters" not in page + err
    )
    jsonl = {
        line["caption"]["text"] for path in tmp_path.glob("said.jsonl*") for line in lines_of(path)
    }
    noted = (tmp_path / "noted").read_text().splitlines()
    assert (
        noted[0]
        and json.loads(shown[6:])["caption"]["text"]
        and json.loads(state)["caption"]["text"]
    )
    assert set(noted) & jsonl and cv2.VideoCapture(str(tmp_path / "said.avi")).grab()
