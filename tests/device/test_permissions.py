"""What this user may not read or write is refused in one line. Root may everything, and so
becomes a root that heeds permissions."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tiny import DEMO, TINY_BUNDLE

#: Runs command lines, one after the other; prints the exit code and the errors of each.
PROGRAM = """
import contextlib, io, json, sys
from picaption.device.cli import main
for arguments in json.load(sys.stdin):
    errors = io.StringIO()
    with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
        try:
            main(arguments)
        except SystemExit as end:
            code = end.code
    print(json.dumps([code, errors.getvalue()]))
"""
PRIVILEGES = "-dac_override,-dac_read_search"


def heeding_permissions():
    """Return what stands before a command so that permissions hold for it; skip without it."""
    if os.geteuid():
        return []
    if not shutil.which("setpriv"):
        pytest.skip("root may read everything, and there is no setpriv")
    return ["setpriv", f"--bounding-set={PRIVILEGES}", f"--inh-caps={PRIVILEGES}"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of what is forbidden."""
    folder = tmp_path_factory.mktemp("forbidden")
    photo = DEMO / "cat.jpg"
    shutil.copy(photo, folder / "secret.jpg")
    shutil.copy(TINY_BUNDLE, folder / "secret.tflite")
    (folder / "secret.toml").write_text("max_fps = 5\n")
    for name in ("readable", "listed", "closed", "classes/a", "classes/b"):
        (folder / name).mkdir(parents=True)
        for number in range(3):
            shutil.copy(photo, folder / name / f"{number}.jpg")
    modes = {"readable": 0o555, "listed": 0o666, "closed": 0, "classes/b": 0}
    modes |= dict.fromkeys(("secret.jpg", "secret.tflite", "secret.toml"), 0)
    for name, mode in modes.items():
        (folder / name).chmod(mode)
    yield folder
    for name in modes:
        (folder / name).chmod(0o755)


def live(*arguments, source="demo"):
    return ["live", "--source", source, "--bundle", str(TINY_BUNDLE), "--frames", "1", *arguments]


#: Command lines, and what their error says.
CASES = [
    (["image", "secret.jpg"], "secret.jpg' is not readable"),
    (["image", "listed", "--bundle", str(TINY_BUNDLE)], "listed/0.jpg: Permission denied; check"),
    (["inspect", "secret.tflite"], "secret.tflite' is not readable"),
    (live("--config", "secret.toml"), "secret.toml' is not readable"),
    (live(source="secret.jpg"), "secret.jpg cannot be read (Permission denied)"),
    (live(source="closed"), "closed cannot be read (Permission denied)"),
    (live("--bundles", "closed"), "bundles: closed cannot be read; check its permissions"),
    (live("--json", "readable/a.jsonl"), "readable/a.jsonl cannot be written (Permission denied)"),
    (live("--video", "closed/a.avi"), "closed/a.avi cannot be written"),
    (live("--history", "closed/h.db"), "closed/h.db: Permission denied; check its permissions"),
    (["teach", "classes", "--output", "a.tflite"], "classes/b cannot be read (Permission"),
    (["bench", "--json", "readable/a.json"], "readable/a.json cannot be written; check its fold"),
    (
        ["bench", "--html", "closed/a.html"],
        "closed/a.html: Permission denied; check",
    ),
]


def test_what_is_forbidden_is_one_line(folder):
    process = subprocess.run(
        [*heeding_permissions(), sys.executable, "-c", PROGRAM],
        input=json.dumps([arguments for arguments, _ in CASES]),
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=120,
        check=True,
    )
    results = [json.loads(line) for line in process.stdout.splitlines()]
    assert len(results) == len(CASES)
    for (arguments, message), (code, errors) in zip(CASES, results):
        lines = [line for line in errors.splitlines() if not line.startswith("source: ")]
        assert code == 2 and len(lines) == 1, (arguments, code, errors)
        assert lines[0].startswith("picaption: ") and message in lines[0], (arguments, errors)
    left = [path for path in Path(folder).iterdir() if path.suffix in (".jsonl", ".avi", ".db")]
    assert not left
