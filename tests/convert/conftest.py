"""How tests call `picaption convert`."""

from dataclasses import dataclass

import pytest

from picaption.device import cli
from tests.processes import no_java


@dataclass(frozen=True)
class Result:
    """What a command left: its exit code and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture(scope="module", autouse=True)
def without_java():
    """No Java: METEOR takes long, and tests/models/evaluation/test_metrics.py has it."""
    with no_java():
        yield


@pytest.fixture
def convert_command(capsys):
    """A function that runs `picaption convert` with arguments, and returns its Result."""

    def run(*arguments):
        with pytest.raises(SystemExit) as stop:
            cli.main(["convert", *map(str, arguments)])
        return Result(stop.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def failure(convert_command):
    """A function that runs `picaption convert`, which fails, and returns its last line."""

    def run(*arguments):
        result = convert_command(*arguments)
        last = result.err.strip().splitlines()[-1]
        assert result.code == 2
        assert last.startswith("picaption: ")
        return last

    return run
