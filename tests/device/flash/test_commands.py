"""The command line of `picaption flash`: help, options that are missing, an image over itself."""

import pytest

from picaption.device import cli
from picaption.device.flash.commands import flash


@pytest.fixture
def call(capsys):
    """Runs `picaption flash`; returns (exit code, output, errors)."""

    def call(*arguments):
        with pytest.raises(SystemExit) as exit:
            cli.main([str(argument) for argument in arguments], flash, "picaption flash")
        return (exit.value.code, *capsys.readouterr())

    return call


def test_help_cuts_no_line(call):
    code, out, _ = call("--help")
    assert code == 0
    commands = out.partition("Commands:")[2]
    assert {"prepare", "image", "payload", "write"} <= set(commands.split())
    assert "..." not in commands


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["prepare"], "Missing option '--boot'"),
        (["payload", "--python", "3.12", "--out", "x"], "Invalid value for '--python'"),
        (["write", "image.img"], "Missing argument 'DEVICE'"),
    ],
)
def test_wrong_usage_is_one_line(call, arguments, message):
    code, out, err = call(*arguments)
    assert (code, out) == (2, "") and message in err and err.count("\n") == 1


def test_an_image_is_not_written_over_itself(call, tmp_path):
    image = tmp_path / "os.img"
    image.write_bytes(b"an image")
    code, _, err = call("image", "--from", image, "--out", image)
    assert code == 2 and err.count("\n") == 1
    assert "would overwrite the image itself" in err or "mtools" in err
    assert image.read_bytes() == b"an image"
