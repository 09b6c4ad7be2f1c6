"""The settings' own checks and names."""

import click
import pytest

from picaption.device.config.settings import (
    FIELDS,
    SECRETS,
    Config,
    FrameSize,
    environment_name,
    option_name,
)


@pytest.mark.parametrize(
    ("text", "size"), [("640x480", "640x480"), ("32X4096", "32x4096"), ("1280x720", "1280x720")]
)
def test_a_frame_size_is_width_and_height(text, size):
    assert FrameSize().convert(text, None, None) == size


@pytest.mark.parametrize("text", ["640", "31x480", "640x4097", "640x480x3", "-640x480", "axb", ""])
def test_anything_else_is_refused(text):
    with pytest.raises(click.BadParameter, match="is not WIDTHxHEIGHT"):
        FrameSize().convert(text, None, None)


def test_names_of_options_and_of_the_environment():
    assert option_name("max_fps") == "--max-fps"
    assert environment_name("mqtt_password") == "PICAPTION_MQTT_PASSWORD"


def test_the_secrets_are_the_passwords():
    assert SECRETS == ("token", "mqtt_password")


def test_every_setting_has_a_default_and_a_line_of_help():
    assert all(getattr(Config(), name) == field.default for name, field in FIELDS.items())
    assert all(field.metadata["text"] for field in FIELDS.values())
