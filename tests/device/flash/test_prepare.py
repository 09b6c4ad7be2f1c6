"""What `picaption flash prepare` writes: the same twice, and nothing if something is wrong."""

import io
import shutil
import tomllib

import pytest
import yaml

from picaption.device import cli
from picaption.device.flash import card
from picaption.device.flash.card import MountedBoot
from picaption.device.flash.commands import flash
from picaption.device.flash.payload import write
from picaption.device.signing.keys import KeyRing, make_private_key, public_key, write_ring
from picaption.device.signing.signature import sign_file
from tests.device.flash.cards import BOOKWORM, TRIXIE, contents, needs_openssl


@pytest.fixture
def call(capsys, monkeypatch):
    """A function that runs `picaption flash` and returns (exit code, output, errors)."""

    def run(*arguments, stdin=""):
        monkeypatch.setattr("sys.stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as exit:
            cli.main([str(argument) for argument in arguments], flash, "picaption flash")
        return (exit.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def options(tmp_path, card_payload):
    """Options that say all that can be said."""
    (tmp_path / "key.pub").write_text("ssh-ed25519 AAAA anna\n")
    (tmp_path / "my.toml").write_text(
        'json = "/var/lib/picaption/said.jsonl"\nmax_fps = 2\n'
        '[[event]]\nword = "cat"\nrun = ["true"]\n'
    )
    return [
        "--payload",
        card_payload,
        "--hostname",
        "kitchen",
        "--user",
        "anna",
        "--password",
        "--ssh-key",
        tmp_path / "key.pub",
        "--wifi",
        "net",
        "--country",
        "DE",
        "--timezone",
        "Europe/Berlin",
        "--source",
        "usb:0",
        "--web",
        "--mqtt",
        "broker.lan",
        "--config",
        tmp_path / "my.toml",
    ]


@needs_openssl
@pytest.mark.parametrize("system", ["trixie", "bookworm"])
def test_all_of_it_and_twice_the_same(call, options, card_payload, request, system, tmp_path):
    boot = request.getfixturevalue(system)
    if system == "bookworm":
        write(card_payload, "3.11", {"wheels/a-1-py3-none-any.whl": tmp_path / "wheel"})
    code, out, err = call("prepare", "--boot", boot, *options, stdin="secret\npassphrase\n")
    assert (code, err) == (0, "")
    settings = tomllib.loads((boot / "picaption/picaption.toml").read_text())
    assert settings == {
        "source": "usb:0",
        "bundle": "/opt/picaption/current/bundle.tflite",
        "max_fps": 2,
        "web": True,
        "host": "0.0.0.0",
        "json": "/var/lib/picaption/said.jsonl",
        "mqtt": "broker.lan",
        "token": settings["token"],
        "event": [{"word": "cat", "run": ["true"], "every": 10}],
    }
    assert (
        len(settings["token"]) >= 32
        and f"http://kitchen.local:8080/?token={settings['token']}\n" in out
    )
    before = contents(boot)
    files = TRIXIE if system == "trixie" else BOOKWORM
    seed = {"trixie": {"user-data", "network-config"}, "bookworm": {"cmdline.txt"}}[system]
    assert set(before) == set(files) | {f"{name}.before-picaption" for name in seed} | {"ssh"} | {
        f"picaption/{name}"
        for name in (
            "payload.tar",
            "picaption.toml",
            "firstboot.py",
            *(["firstrun.sh"] if system == "bookworm" else []),
        )
    }
    for name, text in files.items():
        assert (boot / (f"{name}.before-picaption" if name in seed else name)).read_text() == text
    assert (boot / "picaption/payload.tar").read_bytes() == card_payload.read_bytes()
    for secret in (b"secret", b"passphrase"):
        assert not any(secret in path.read_bytes() for path in boot.rglob("*") if path.is_file())
    assert call("prepare", "--boot", boot, *options, stdin="secret\npassphrase\n")[0] == 0
    assert contents(boot) == before


def test_a_card_carries_the_public_keys_and_only_a_signed_payload(
    call, trixie, card_payload, tmp_path
):
    pytest.importorskip("cryptography")
    private = make_private_key()
    keys = tmp_path / "keys.json"
    write_ring(keys, KeyRing((public_key(private, "one"),)))
    arguments = ("--boot", trixie, "--payload", card_payload, "--public-keys", keys)
    code, _, errors = call("prepare", *arguments)
    assert code == 2 and "card.tar: it is not signed" in errors
    assert not (trixie / "picaption").exists()
    sign_file(card_payload, private)
    assert call("prepare", *arguments)[0] == 0
    assert (trixie / "picaption/keys.json").read_bytes() == keys.read_bytes()
    settings = (trixie / "picaption/picaption.toml").read_text()
    assert 'public_keys = "/etc/picaption-keys.json"' in settings


@needs_openssl
def test_another_password_is_another_hash(call, trixie, card_payload):
    def user():
        return yaml.safe_load((trixie / "user-data").read_text())["users"][0]["hashed_passwd"]

    arguments = [
        "prepare",
        "--boot",
        trixie,
        "--payload",
        card_payload,
        "--user",
        "anna",
        "--password",
    ]
    assert call(*arguments, stdin="one\n")[0] == 0
    first = user()
    assert call(*arguments, stdin="two\n")[0] == 0 and user() != first
    assert call(*arguments)[2].startswith(
        "picaption: no password on standard input: give it on a line of its own"
    )


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--source", "demo", "--country", "DE"], "--country is for --wifi"),
        (["--config", "none.toml"], "none.toml: cannot read the settings"),
        (["--bundle", "b.tflite"], "--payload has its bundle in it"),
        (["--hostname", "a b"], "--hostname 'a b'"),
    ],
)
def test_a_wrong_option_leaves_the_card_as_it_was(call, trixie, card_payload, arguments, message):
    before = contents(trixie)
    code, _, err = call("prepare", "--boot", trixie, "--payload", card_payload, *arguments)
    assert code == 2 and message in err and err.count("\n") == 1 and contents(trixie) == before


@pytest.mark.parametrize(
    "wrong, message",
    [
        ("32-bit", "a 32-bit Raspberry Pi OS"),
        ("seed", "user-data: no #cloud-config"),
        ("python", "for Python 3.13 on aarch64, and"),
        ("payload", "not a payload of picaption"),
        ("damaged", "a-1-py3-none-any.whl is damaged"),
        ("room", "MB are needed, and 5 are free"),
    ],
)
def test_a_card_that_does_not_fit_is_left_as_it_was(
    call, trixie, card_payload, monkeypatch, wrong, message
):
    if wrong == "32-bit":
        (trixie / "kernel7l.img").touch()
    elif wrong == "seed":
        (trixie / "user-data").write_text("#!/bin/sh\n")
    elif wrong == "python":
        for name in ("user-data", "meta-data", "network-config"):
            (trixie / name).unlink()
    elif wrong == "payload":
        card_payload.write_bytes(b"nothing")
    elif wrong == "damaged":
        card_payload.write_bytes(card_payload.read_bytes().replace(b"no wheel", b"no whee1"))
    else:
        with open(card_payload, "ab") as file:
            file.truncate(3_000_000)
        usage = shutil.disk_usage(trixie)
        monkeypatch.setattr(card.shutil, "disk_usage", lambda path: usage._replace(free=5_000_000))
    before = contents(trixie)
    code, _, err = call("prepare", "--boot", trixie, "--payload", card_payload)
    assert code == 2 and message in err and err.count("\n") == 1 and contents(trixie) == before


def test_a_card_pulled_out_half_way_is_prepared_again(call, trixie, card_payload, monkeypatch):
    arguments = [
        "prepare",
        "--boot",
        trixie,
        "--payload",
        card_payload,
        "--source",
        "demo",
        "--web",
    ]
    written = []
    write_file = MountedBoot.write

    def pulled_out_after(limit):
        def write(boot, name, content):
            if len(written) == limit:
                raise OSError(5, "Input/output error")
            written.append(name)
            write_file(boot, name, content)

        return write

    for limit in range(4):
        monkeypatch.setattr(MountedBoot, "write", pulled_out_after(limit))
        written.clear()
        code, _, err = call(*arguments)
        assert code == 2 and err == "picaption: the system reports: [Errno 5] Input/output error\n"
        assert (trixie / "user-data").read_text() == TRIXIE["user-data"]  # it boots as before
    monkeypatch.setattr(MountedBoot, "write", write_file)
    assert call(*arguments)[0] == 0 and "bootcmd" in (trixie / "user-data").read_text()
    assert (trixie / "user-data.before-picaption").read_text() == TRIXIE["user-data"]
