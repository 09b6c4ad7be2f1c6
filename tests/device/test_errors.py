"""The errors and the exit codes that the command line gives them."""

import click
import pytest

from picaption.device import cli
from picaption.device.errors import CameraError, PicaptionError, TemporaryError


@pytest.mark.parametrize(
    ("error", "code"), [(PicaptionError, 2), (TemporaryError, 75), (CameraError, 75)]
)
def test_an_error_is_one_line_and_its_exit_code(error, code, capsys):
    @click.command()
    def command():
        raise error("a line\nand another")

    with pytest.raises(SystemExit) as exit:
        cli.main([], command)
    assert exit.value.code == code
    assert capsys.readouterr() == ("", "picaption: a line and another\n")
