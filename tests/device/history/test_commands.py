"""`picaption history`, as a user runs it."""

import csv
import io
import time
import zipfile

import pytest
from click.testing import CliRunner

from picaption.device.history.commands import history
from tests.device.fakes.histories import make_history


@pytest.fixture
def path(tmp_path, monkeypatch):
    """A history, on a computer whose clock is that of UTC; its settings name it."""
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.chdir(tmp_path)
    yield make_history(tmp_path / "history.db")
    monkeypatch.undo()
    time.tzset()


def test_a_day_in_a_sentence(call, path):
    sentence = "2026-11-28: 5 scenes: mostly an empty desk; a cat between 14:02 and 14:31; "
    sentence += "a laptop between 14:02 and 14:20\n"
    assert call("history", "digest", "--history", path, "--day", "2026-11-28") == (0, sentence, "")
    path.with_name("picaption.toml").write_text(f'history = "{path}"\n')
    assert call("history", "digest", "--day", "2026-11-28") == (0, sentence, "")
    assert call("history", "digest", "--day", "2026-11-26")[1] == "2026-11-26: no scenes\n"


def test_files_with_scenes(call, path, tmp_path):
    code, text, _ = call(
        "history", "export", "--history", path, "--class", "cat", "--since", "2026-11-28T14:25"
    )
    rows = list(csv.DictReader(io.StringIO(text)))
    assert code == 0 and [row["caption"] for row in rows] == ['\'=cats; "sleeping"']
    file = tmp_path / "scenes.zip"
    command = ["history", "export", "--history", path, "--format", "zip"]
    assert call(*command, "--output", file) == (0, "", "")
    with zipfile.ZipFile(file) as archive:
        assert len(archive.namelist()) == 3


def test_a_span_is_deleted_once_it_is_confirmed(call, path):
    span = ["--since", "2026-11-28T14:03", "--until", "2026-11-28T14:30"]
    arguments = ["delete", "--history", str(path), *span]
    runner = CliRunner()
    question = "Delete 2 scenes from 2026-11-28 14:03:00 to 2026-11-28 14:30:00? [y/N]: "
    refused = runner.invoke(history, arguments, input="n\n")
    assert refused.output.startswith(question) and refused.exit_code == 1
    assert runner.invoke(history, arguments, input="y\n").output.endswith("2 scenes deleted\n")
    assert call("history", *arguments, "--yes") == (0, "0 scenes deleted\n", "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digest"], "there is no history: set history in picaption.toml, or --history"),
        (["digest", "--history", "absent.db"], "there is no file absent.db; picaption live"),
        (["digest", "--history", "history.db", "--day", "soon"], "'soon' is not a time"),
        (["export", "--history", "history.db", "--until", "later"], "'later' is not a time"),
        (["delete", "--since", "today", "--until", "14 days ago"], "has to be before --until"),
    ],
)
def test_what_cannot_be_is_one_line(call, path, arguments, message):
    code, output, errors = call("history", *arguments)
    assert (code, output, errors.count("\n")) == (2, "", 1) and message in errors
