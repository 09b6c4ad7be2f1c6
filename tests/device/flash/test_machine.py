"""What a Pi may be called, and what becomes of its secrets, by the standards' own examples."""

import io

import pytest

from picaption.device.errors import PicaptionError
from picaption.device.flash.machine import (
    Machine,
    ask,
    check,
    check_wifi,
    hash_password,
    read_ssh_keys,
    wifi_key,
)
from tests.device.flash.cards import needs_openssl


@pytest.mark.parametrize(
    "fields, with_password, message",
    [
        ({"hostname": "-a"}, False, "letters, digits and hyphens"),
        ({"hostname": "a.b"}, False, "--hostname 'a.b'"),
        ({"hostname": "a" * 64}, False, "at most 63"),
        ({"user": "root"}, True, "not root"),
        ({"user": "Anna"}, True, "lower-case"),
        ({"user": "a b"}, True, "lower-case"),
        ({"user": "anna"}, False, "nobody can log in"),
        ({}, True, "need --user"),
        ({"ssh_keys": ("k",)}, False, "need --user"),
        ({"timezone": "Europe/Berln"}, False, "did you mean Europe/Berlin?"),
        ({"timezone": "../etc"}, False, "no such time zone"),
    ],
)
def test_what_no_pi_can_be(fields, with_password, message):
    with pytest.raises(PicaptionError, match=message):
        check(Machine(**fields), with_password)


def test_what_a_pi_can_be():
    check(Machine())
    check(Machine("Kitchen-2", "anna_1", ssh_keys=("k",), timezone="Europe/Berlin"))
    check_wifi(None, "")
    check_wifi("ä" * 16, "DE")
    for ssid, country, message in (
        ("ä" * 17, "DE", "1 to 32 bytes"),
        ("a", "", "needs --country"),
        ("a", "de", "needs --country"),
        (None, "DE", "--country is for --wifi"),
    ):
        with pytest.raises(PicaptionError, match=message):
            check_wifi(ssid, country)


def test_a_networks_key_is_that_of_the_standard():
    # IEEE 802.11i, H.4.3
    assert (
        wifi_key("IEEE", "password")
        == "f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e"
    )
    assert wifi_key("any", "AB" * 32) == "ab" * 32
    for passphrase in ("seven77", "x" * 65, "grüße dich", "a\tbcdefgh"):
        with pytest.raises(PicaptionError, match="8 to 63 characters"):
            wifi_key("a", passphrase)


@needs_openssl
def test_a_password_is_hashed_and_known_again(monkeypatch):
    # as glibc's crypt(3) hashes it
    known = (
        "$6$saltstring$"
        "svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjl/O817G3uBnIFNjnQJuesI68u4OTLiBFdcbYEdFCoEOfaS35inz1"
    )
    assert hash_password("Hello world!", f"passwd: {known}\n") == known
    first = hash_password("Hello world!")
    second = hash_password("Hello world!")
    assert first.startswith("$6$") and len({first, second, known}) == 3
    assert hash_password("another", f"{known} {first}") not in (known, first)
    monkeypatch.setenv("PATH", "/none")
    with pytest.raises(PicaptionError, match="no openssl here"):
        hash_password("a")


def test_secrets_are_lines_of_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("one \r\ntwo\n\n"))
    assert (ask("Password"), ask("Passphrase")) == ("one ", "two")
    for _ in range(2):  # an empty line, and the end
        with pytest.raises(PicaptionError, match="no password on standard input"):
            ask("Password")


def test_public_keys_alone(tmp_path):
    path = tmp_path / "key.pub"
    path.write_text("# mine\nssh-ed25519 AAAAC3+/ anna@home\n\necdsa-sha2-nistp256 AAAA==\n")
    assert read_ssh_keys(path) == ("ssh-ed25519 AAAAC3+/ anna@home", "ecdsa-sha2-nistp256 AAAA==")
    path.write_bytes(b"\xef\xbb\xbfssh-ed25519 AAAAC3+/ anna@home\r\n")  # As Notepad writes it.
    assert read_ssh_keys(path) == ("ssh-ed25519 AAAAC3+/ anna@home",)
    for text, message in (
        ("-----BEGIN OPENSSH PRIVATE KEY-----\n", "a private key, which belongs on no card"),
        ("", "no public keys"),
        ("ssh-ed25519\n", "no public"),
        ('command="x" ssh-rsa A\n', "no public"),
    ):
        path.write_text(text)
        with pytest.raises(PicaptionError, match=message):
            read_ssh_keys(path)
    with pytest.raises(PicaptionError, match="cannot be read"):
        read_ssh_keys(tmp_path / "none")


def test_a_country_is_one_of_iso_3166(tmp_path, monkeypatch):
    (tmp_path / "iso3166.tab").write_text("# codes\nDE\tGermany\nGB\tBritain (UK)\n")
    monkeypatch.setattr("zoneinfo.TZPATH", (str(tmp_path / "absent"), str(tmp_path)))
    check_wifi("net", "GB")
    with pytest.raises(PicaptionError, match="--country UK: no country .* did you mean GB[?]"):
        check_wifi("net", "UK")
    with pytest.raises(PicaptionError, match="--country XX: no country"):
        check_wifi("net", "XX")
    monkeypatch.setattr("zoneinfo.TZPATH", ())
    check_wifi("net", "XX")
