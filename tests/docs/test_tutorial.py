"""The tutorial, done from its beginning to its end: every command that needs no other machine.

A comment before a block of code says what a test cannot do: `<!-- test: skip, WHY -->`, or how a
command that goes on ends: `<!-- test: until ADDRESS answers -->`.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(r"(?:<!-- test: (.+?) -->\n)?```sh\n(.*?)```", re.DOTALL)
MAX_SECONDS = 120


def test_reasons_stand_before_their_blocks():
    page = "<!-- test: skip, why -->\n```sh\none\n```\ntext\n```sh\ntwo\n```\n```\noutput\n```\n"
    assert BLOCK.findall(page) == [("skip, why", "one\n"), ("", "two\n")]


@pytest.fixture
def environment(tmp_path):
    """Return the environment of a newcomer: a home of its own, and picaption on the path."""
    if not Path(sys.executable).with_name("picaption").exists():
        pytest.skip("the command picaption is not installed beside this Python")
    settings = tmp_path / ".config" / "picaption"
    settings.mkdir(parents=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    # Another program may have the page's usual port here.
    (settings / "picaption.toml").write_text(f"port = {port}\n")
    locale = {name: os.environ[name] for name in ("LANG", "LC_ALL") if name in os.environ}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return locale | {"HOME": str(tmp_path), "PATH": path, "PORT": str(port)}


class Terminal:
    """A terminal that remembers the folder that the last block of commands ended in."""

    def __init__(self, environment, folder):
        self.environment = environment
        self.folder = folder

    def run(self, commands):
        """Run commands to their end, and return what they print."""
        script = f"set -e\n{commands}\npwd > ~/folder\n"
        result = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=MAX_SECONDS,
        )
        assert result.returncode == 0, f"{commands}\n{result.stdout}\n{result.stderr}"
        self.folder = Path(self.environment["HOME"], "folder").read_text().strip()
        return result.stdout

    def run_until(self, commands, address):
        """Start a command that goes on, wait until an address answers, and end it by ctrl-C."""
        address = address.replace("8080", self.environment["PORT"])
        process = subprocess.Popen(
            ["bash", "-c", f"exec {commands.strip()}"],
            cwd=self.folder,
            env=self.environment,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        try:
            wait_for(address, process)
            process.send_signal(signal.SIGINT)
            assert process.wait(MAX_SECONDS) in (0, 130)
        finally:
            process.kill()


def wait_for(address, process):
    """Return once an address answers; fail if the process ends before."""
    for _ in range(10 * MAX_SECONDS):
        assert process.poll() is None
        try:
            urllib.request.urlopen(address, timeout=5).close()
            return
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            time.sleep(0.1)
    raise AssertionError(f"{address} does not answer")


def test_every_command_of_the_tutorial_works(environment):
    terminal = Terminal(environment, ROOT)
    output = {}
    for mark, commands in BLOCK.findall(PAGE.read_text(encoding="utf-8")):
        if mark.startswith("until "):
            terminal.run_until(commands, mark.split(" ")[1])
        elif not mark.startswith("skip, "):
            output[commands.splitlines()[0]] = terminal.run(commands)
    folder = Path(environment["HOME"], "picaption-tutorial")
    assert terminal.folder == str(folder)
    assert (folder / "cat-marked.jpg").stat().st_size > 1000
    # What the pages say of these commands.
    assert re.search(r"caption  .*dog", output["mkdir -p ~/picaption-tutorial"])
    (taught,) = (text for command, text in output.items() if "teach --describe" in command)
    assert re.search(r"dog\.jpg\n.*\n  classes  Rex ", taught)
    assert re.search(r"cat\.jpg\n.*\n  classes  Minka ", taught)
    assert 'bundle = "mine.tflite"' in output["cat > picaption.toml <<'END'"]
