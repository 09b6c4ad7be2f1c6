"""Several cameras in the settings: their tables, what each of them gets, and what is refused."""

import dataclasses

import pytest

from picaption.device.config.camera import slug
from picaption.device.config.settings import Event, camera_configs
from picaption.device.config.toml import load_config, plain_toml, to_toml
from picaption.device.errors import PicaptionError

TABLES = """
mqtt_topic = "home/pi"
mqtt_watch = "cat"
rotate = 180

[[camera]]
name = "Front door"
source = "rtsp://anna:s3cret@cam/1"
rotate = 90
crop = [0.25, 0, 0.75, 1]
mqtt_watch = "person, dog"

[[camera.event]]
word = "cat"
run = ["echo", "{camera}"]

[[camera]]
name = "garden"
source = "demo"
mqtt_topic = "garden"
"""


@pytest.fixture
def load(tmp_path):
    """Loads the settings of a text."""

    def load(text, overrides=()):
        path = tmp_path / "picaption.toml"
        path.write_text(text)
        return load_config(dict(overrides), path, {})

    return load


def test_a_camera_has_settings_of_its_own_and_otherwise_those_of_all(load):
    door, garden = camera_configs(load(TABLES).config)
    assert (door.camera_name, door.source) == ("Front door", "rtsp://anna:s3cret@cam/1")
    assert (door.rotate, door.crop, door.mqtt_watch) == (90, (0.25, 0, 0.75, 1), "person, dog")
    assert door.mqtt_topic == "home/pi/camera/front_door"
    assert door.event == (Event(word="cat", run=("echo", "{camera}")),)
    assert (garden.camera_name, garden.rotate, garden.crop) == ("garden", 180, ())
    assert (garden.mqtt_topic, garden.mqtt_watch, garden.event) == ("garden", "cat", ())
    assert door.camera == garden.camera == ()


def test_a_source_on_the_command_line_takes_the_place_of_the_tables(load):
    config = load(TABLES, {"source": "demo"}).config
    assert config.source == "demo" and config.camera == ()


def test_tables_may_stand_on_the_command_line(load):
    config = load(
        "", {"camera": ('name = "a", source = "demo"', 'name = "b", source = "0"')}
    ).config
    assert [(own.camera_name, own.source) for own in camera_configs(config)] == [
        ("a", "demo"),
        ("b", "0"),
    ]


def test_what_is_printed_can_be_read_and_shows_no_password(load):
    loaded = load(TABLES)
    assert load(plain_toml(loaded)).config == loaded.config
    shown = to_toml(loaded)
    assert "s3cret" not in shown and 'name = "Front door"' in shown
    # An address without its password is none to be read again: that line is a comment.
    assert load(shown).config == dataclasses.replace(loaded.config, camera=())


def camera(*lines, name="a"):
    return "\n".join(["[[camera]]", f'name = "{name}"', 'source = "demo"', *lines, ""])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (camera() + camera(), "toml:1: camera: two are called 'a'; rename one"),
        (camera(name="a b") + camera(name="A-B"), "'a b' and 'A-B' differ too little"),
        (
            "quiet = true\n" + camera() + camera("rotation = 90", name="b"),
            r"toml:5: camera: it has no entry 'rotation'; did you mean rotate\?; there are: name, ",
        ),
        ("camera = 3", "toml:1: camera: write each one as a table"),
        ("camera = [3]", "toml:1: camera: write each one as a table"),
        ('[[camera]]\nsource = "demo"', "toml:1: camera: give each one a name"),
        ('[[camera]]\nname = "a"', "toml:1: camera: 'a' has no source; give it one"),
        ('[[camera]]\nname = 3\nsource = "demo"', "name = 3 is not a text"),
        (camera(name="../.."), "it has letters or digits"),
        (camera(name="a\\u001b[2J"), "no control characters"),
        (camera(name="x" * 65), "at most 64 characters"),
        ('[[camera]]\nname = "a"\nsource = 3', "camera 'a': source = 3 is not a text"),
        (camera("rotate = 45"), "camera 'a': rotate: 45 is not one of"),
        (camera("crop = [0, 0, 1.2, 1]"), r"camera 'a': crop: \[0, 0, 1.2, 1\] goes beyond"),
        (camera("crop = [0, -0.1, 1, 1]"), "goes beyond the picture"),
        (camera("crop = [0, 0, nan, 1]"), "goes beyond the picture"),
        (camera("crop = [0.5, 0, 0.5, 1]"), r"crop: \[0.5, 0, 0.5, 1\] is empty"),
        (camera("crop = [0, 0.7, 1, 0.5]"), "is empty"),
        (camera("crop = [0, 0, 1]"), r"crop: \[0, 0, 1\] is not a crop: it is left, top, right"),
        (camera("crop = [true, 0, 1, 1]"), "is not a crop"),
        (camera("crop = {left = 0}"), "is not a crop"),
        ("crop = [0, 0, 2, 1]", r"toml:1: crop: \[0, 0, 2, 1\] goes beyond the picture"),
        (camera("event = 3"), r"camera 'a': event: write each one as \[\[camera.event\]\]"),
        (camera('[[camera.event]]\nword = "x"'), "camera 'a': event: give run, post or save"),
        (camera('mqtt_topic = "a/#"'), "camera 'a': mqtt_topic = 'a/#': no topic"),
        (camera('mqtt_topic = "picaption"'), "mqtt_topic 'picaption' is that of the board"),
        ('source = "demo"\n' + camera(), r"toml:1: source: each \[\[camera\]\] has one of its own"),
    ],
)
def test_what_is_wrong_is_one_line_that_names_it(load, text, message):
    with pytest.raises(PicaptionError, match=message) as raised:
        load(text)
    assert "\n" not in str(raised.value) and len(str(raised.value)) < 400


def test_names_become_parts_of_topics_and_files():
    assert slug("Front door") == "front_door"
    assert slug("Küche (2. Stock)/+#") == "küche_2_stock"
