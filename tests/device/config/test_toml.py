"""Settings from the file, the environment and the command line, with where each comes from."""

import dataclasses
import tomllib

import click
import pytest

from picaption.device.config.options import options
from picaption.device.config.settings import FIELDS, Config, Event, expand_home
from picaption.device.config.toml import find_config_file, load_config, plain_toml, to_toml
from picaption.device.errors import PicaptionError


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes picaption.toml into the folder that is the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))

    def write(text, path="picaption.toml"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
        return tmp_path / path

    return write


def parse(*arguments):
    """Return what a command line says: the options' values by name."""

    @click.command()
    @options
    def command(config_path, **values):
        return values

    return command.main(list(arguments), standalone_mode=False)


def test_the_defaults_are_sound(write):
    loaded = load_config(parse())
    assert (
        loaded.config == Config()
        and loaded.path is None
        and set(loaded.origins.values()) == {"default"}
    )


def test_the_command_line_goes_before_the_environment_and_that_before_the_file(write):
    path = write('port = 1111\nmax_fps = 3\ntoken = "of the file, long enough"\n')
    loaded = load_config(parse("--port", "2222"), None, {"PICAPTION_TOKEN": "of the environment"})
    assert (loaded.config.port, loaded.config.max_fps, loaded.config.token) == (
        2222,
        3.0,
        "of the environment",
    )
    assert [loaded.origins[name] for name in ("port", "max_fps", "token", "host")] == [
        "--port",
        "picaption.toml:2",
        "PICAPTION_TOKEN",
        "default",
    ]
    assert str(loaded.path) == path.name


def test_the_file_is_looked_for_here_and_in_the_users_settings(write):
    write("port = 1", "home/picaption/picaption.toml")
    assert find_config_file().parts[-3:] == ("home", "picaption", "picaption.toml")
    write("port = 2")
    assert load_config({}).config.port == 2
    assert load_config({}, write("port = 3", "other.toml")).config.port == 3


def test_what_is_switched_on_in_the_file_can_be_switched_off(write):
    write("power_save = true\nhflip = true\n")
    loaded = load_config(parse("--no-power-save"))
    assert not loaded.config.power_save and loaded.config.hflip


@pytest.mark.parametrize(
    "text, message",
    [
        ("prot = 80", r"picaption.toml:1: no setting is called 'prot'; did you mean port\?"),
        ('\n\nport = "80"', "picaption.toml:3: port = '80' is not a whole number"),
        ("port = 80000", "picaption.toml:1: port: 80000 is not in the range"),
        ('# port = 1\nsize = "640"', "picaption.toml:2: size: 640 is not WIDTHxHEIGHT"),
        ('size = "9999x9999"', "picaption.toml:1: size: 9999x9999 is not WIDTHxHEIGHT"),
        ("quiet = 1", "picaption.toml:1: quiet = 1 is not true or false"),
        ("rotate = 45", "picaption.toml:1: rotate: 45 is not one of"),
        ("max_fps = -1", "picaption.toml:1: max_fps: "),
        ("seconds = nan", "picaption.toml:1: seconds = nan is not a number"),
        ('focus = "near"', "picaption.toml:1: focus = 'near': it is continuous, once, or dioptres"),
        ("quiet = true\nport = [", "picaption.toml:2: not TOML: invalid value"),
        ("quiet = true\nquiet = true", "picaption.toml:2: not TOML: cannot overwrite a value"),
        (
            'web = true\nhost = "0.0.0.0"',
            "picaption.toml:2: host = '0.0.0.0' can be reached from the network: set a token",
        ),
        ("token = 1234567890123456", "picaption.toml:1: token is not a text"),
        ('source = "rtsp://a:b[c@d/"', r"picaption.toml:1: rtsp://d/: no address: .* \[ as %5B"),
        ('token = "short"', "picaption.toml:1: token: at least 16 characters"),
        ('mqtt_password = "secret"', "picaption.toml:1: mqtt_password: set mqtt_user too"),
        (
            'mqtt_topic = "a/#"',
            "picaption.toml:1: mqtt_topic = 'a/#': no topic that can be published to",
        ),
        ('mqtt_topic = "a\\u0007b"', "picaption.toml:1: mqtt_topic = .* has a control character"),
        (f'mqtt_topic = "{"x" * 65001}"', "picaption.toml:1: mqtt_topic = .* longer than 65000"),
        (
            '[[event]]\nword = "cat"\nrun = ["echo", "{captoin}"]',
            r"event: run: {captoin} is not filled in; did you mean caption\?",
        ),
        ('mqtt_topic = ""', "picaption.toml:1: mqtt_topic"),
        ("event = 3", "picaption.toml:1: event: write each one as a table"),
        (
            'quiet = true\n[[event]]\nrun = ["true"]',
            r"picaption.toml:2: event: give one of word, class and caption = true",
        ),
        ('[[event]]\nword = "cat"', "picaption.toml:1: event: give run, post or save"),
        ('[[event]]\nword = "a"\npost = "http://a"\nrun = ["b"]', "not both; write two events"),
        ('[[event]]\nword = "a"\nrun = ["b"]\nimage = true', "image = true is for post"),
        ('quiet = true\n[[event]]\nword = "a"\nsave = true', "toml:2: event: .* set snapshots"),
        ('quiet_hours = "10pm"', "picaption.toml:1: quiet_hours: '10pm' is not a time of the day"),
        (
            '[[event]]\nword = "a"\nrun = ["b"]\nquiet_hours = "22-7"',
            "picaption.toml:1: event: quiet_hours: '22-7' is not a time of the day",
        ),
        (
            '[[event]]\nword = "cat"\nrun = "ls"',
            "picaption.toml:1: event: run = 'ls' is not a list of texts",
        ),
        ('[[event]]\nwords = "cat"', "picaption.toml:1: event: it has no entry 'words'"),
        (
            '[[event]]\nword = "cat"\npost = "file:///etc/passwd"',
            "event: post: it is an http:// or https:// address",
        ),
        ('[[event]]\nword = "cat"\nrun = ["true"]\nevery = -1', "event: every = -1"),
        (f'[[event]]\nword = "cat"\nrun = ["x"]\nevery = {"9" * 400}', "event: every = inf is not"),
        (f"max_fps = {'9' * 400}", "picaption.toml:1: max_fps = inf is not a number"),
    ],
)
def test_a_mistake_is_named_with_its_line(write, text, message):
    write(text)
    with pytest.raises(PicaptionError, match=message) as error:
        load_config(parse())
    assert "\n" not in str(error.value)


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path):
    path = tmp_path / "windows.toml"
    path.write_bytes(b"\xef\xbb\xbfport = 8001\r\n")
    assert load_config({}, path).config.port == 8001


def test_a_file_that_is_not_there_or_not_text(write, tmp_path):
    with pytest.raises(PicaptionError, match="absent.toml: cannot read the settings: No such file"):
        load_config({}, tmp_path / "absent.toml")
    (tmp_path / "odd.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(PicaptionError, match="odd.toml: not a TOML file: it is not UTF-8"):
        load_config({}, tmp_path / "odd.toml")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--focus", "near"], "--focus: focus = 'near'"),
        (["--web", "--host", "0.0.0.0"], "--host: host = '0.0.0.0'"),
        (["--frame-ancestors", "http://a:1 b"], "--frame-ancestors: frame_ancestors: 'b' is no"),
        (["--frame-ancestors", "http://a;x"], "'http://a;x' is not an origin such as http://home"),
        (["--event", "cat"], "--event is not TOML: write it as 'word = "),
        (["--event", "word = 3"], "--event: event: word = 3 is not a text"),
    ],
)
def test_a_mistake_on_the_command_line_is_named_by_its_option(write, arguments, message):
    with pytest.raises(PicaptionError, match=message):
        load_config(parse(*arguments))


def test_events_from_file_and_command_line(write):
    write(
        '[[event]]\nword = "cat"\nrun = ["echo", "{caption}"]\n'
        '[[event]]\nclass = "dog"\npost = "http://x/y"\nevery = 60\n'
    )
    cat, dog = (
        Event(word="cat", run=("echo", "{caption}")),
        Event(class_="dog", post="http://x/y", every=60.0),
    )
    assert load_config(parse()).config.event == (cat, dog)
    loaded = load_config(
        parse(
            "--event",
            'caption = true, run = ["true"]',
            "--event",
            'class="dog",post="http://x/y",every=60',
        )
    )
    assert (
        loaded.config.event == (Event(caption=True, run=("true",)), dog)
        and loaded.origins["event"] == "--event"
    )


def test_what_is_printed_can_be_read_again_and_holds_no_secret(write):
    write(
        'source = "demo"\nmax_fps = 2.5\nmqtt_user = "anna"\nmqtt_password = "s3cret"\n'
        '[[event]]\nclass = "dog"\nrun = ["say", "a \\"dog\\""]\n'
    )
    loaded = load_config(
        parse("--port", "99", "--rotate", "90"), environment={"PICAPTION_TOKEN": "t0ken of sixteen"}
    )
    text = to_toml(loaded)
    assert "s3cret" not in text and "t0ken" not in text
    again = tomllib.loads(text)
    assert again.keys() == FIELDS.keys() - {"token", "mqtt_password"}
    write(text)
    same = dataclasses.replace(loaded.config, token="", mqtt_password="")
    assert load_config(parse(), environment={}).config == same
    lines = dict(line.split(" = ", 1) for line in text.splitlines() if not line.startswith("#"))
    assert lines["port"].split() == ["99", "#", "--port"] and lines["source"].endswith(
        "# picaption.toml:1"
    )
    assert lines["host"].endswith("# default") and "# token is set" in text


def test_passwords_in_addresses_are_not_printed():
    loaded = load_config(
        parse(
            *("--source", "rtsp://anna:s3cret@cam/x"),
            *("--event", 'caption = true, post = "http://anna:s3cret@hook/x?key=s3cret"'),
            *("--event", 'caption = true, run = ["curl", "http://hook/x?key=s3cret"]'),
        )
    )
    text = to_toml(loaded)
    assert "s3cret" not in text and "anna" not in text
    assert '# source = "rtsp://cam/x"' in text and "# event = [{" in text
    assert tomllib.loads(text).keys() == FIELDS.keys() - {"source", "event"}


def test_an_event_that_is_not_toml_is_not_repeated():
    with pytest.raises(PicaptionError, match="--event is not TOML") as error:
        load_config(parse("--event", 'post = "http://anna:s3cret@hook/x'))
    assert "s3cret" not in str(error.value)


@pytest.mark.parametrize(
    "text, reason",
    [
        ("size = " + "[" * 100_000, "it is nested too deeply"),
        ("\n\nframes = " + "9" * 5000, "a number has too many digits"),
    ],
)
def test_toml_that_no_parser_takes_is_one_line(write, text, reason):
    write(text)
    with pytest.raises(PicaptionError, match=f"not TOML: {reason}"):
        load_config(parse(), environment={})


def test_what_was_written_is_read_as_the_same(write):
    write('max_fps = 1.23456789012\nmqtt_user = "a\\u007fb\\\\"\nstall = 1e3\n')
    loaded = load_config(parse(), environment={})
    assert (loaded.config.max_fps, loaded.config.mqtt_user) == (1.23456789012, "a\x7fb\\")
    tomllib.loads(to_toml(loaded))
    write(plain_toml(loaded))
    assert load_config(parse(), environment={}).config == loaded.config


def test_a_path_below_the_users_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/anna")
    config = expand_home(Config(bundle="~/a.tflite", json="-", video="b~.mp4"))
    assert (config.bundle, config.json, config.video) == ("/home/anna/a.tflite", "-", "b~.mp4")


def test_what_is_for_another_machine_holds_the_secrets_and_no_default(write):
    write(
        'source = "demo"\nmax_fps = 2.5\nmqtt_user = "anna"\nmqtt_password = "s3cret"\n'
        '[[event]]\nclass = "dog"\nrun = ["say", "a \\"dog\\""]\n'
    )
    loaded = load_config(parse("--web"), environment={})
    text = plain_toml(loaded)
    assert tomllib.loads(text) == {
        "source": "demo",
        "max_fps": 2.5,
        "mqtt_user": "anna",
        "mqtt_password": "s3cret",
        "web": True,
        "event": [{"class": "dog", "run": ["say", 'a "dog"'], "every": 10}],
    }
    write(text)
    assert load_config(parse(), environment={}).config == loaded.config


def test_topics_that_are_unusual_and_arguments_with_braces_of_their_own(write):
    write('mqtt_topic = "/lead"\nmqtt_discovery = "trail/"')
    assert load_config(parse()).config.mqtt_topic == "/lead"
    write('[[event]]\nword = "cat"\nrun = ["awk", "{print}", "{word}"]')
    assert load_config(parse()).config.event[0].run == ("awk", "{print}", "{word}")
