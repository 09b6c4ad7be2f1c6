"""Addresses: what is one, what is wrong with others, and what is shown of them."""

import pytest

from picaption.device.addresses import check_address, scheme_of, without_secrets
from picaption.device.errors import PicaptionError


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://anna:s3cret@192.168.0.7:554/stream?channel=1",
        "RTSP://cam.local/",
        "http://[fe80::1%eth0]:8080/video",
        "http://cam:8080/video?user=a@b",
        "http://anna:p%2Fa%5Bs@cam/x",
        "udp://:1234",
        "udp://@239.0.0.1:1234",
        "http://kamera.müller.de/x",
    ],
)
def test_addresses(address):
    check_address(address)


@pytest.mark.parametrize(
    "address, reason",
    [
        ("rtsp://cam:pa[ss@127.0.0.1:1/x", r"\[ as %5B"),
        ("rtsp://cam:pa]ss@127.0.0.1:1/x", r"\] as %5D"),
        ("rtsp://cam:pa/ss@127.0.0.1:1/x", "/ as %2F"),
        ("rtsp://cam:pa?ss@127.0.0.1:1/x", r"\? as %3F"),
        ("rtsp://cam:pa#ss@127.0.0.1:1/x", "# as %23"),
        ("rtsp://cam:pa ss@127.0.0.1:1/x", "space as %20"),
        ("http://[::1/", "an IPv6 address in brackets"),
        ("http://[", "an IPv6 address in brackets"),
        ("http://", "http://HOST"),
        ("http://:80/", "http://HOST"),
        ("http://cam:0/", "http://HOST:PORT"),
        ("http://cam:65536/", "http://HOST:PORT"),
        ("http://cam:port/", "http://HOST:PORT"),
        ("http://ho\u2100st/", "its host is not a name"),  # which Unicode takes for a/c
        ("http://cam/\x1b[2J", "a control character"),
        ("http://cam/caf\udce9", "not UTF-8"),
        ("http://cam/a b", "space as %20"),
    ],
)
def test_what_is_wrong_with_others_is_said_without_the_password(address, reason):
    with pytest.raises(PicaptionError, match=reason) as error:
        check_address(address)
    assert "ss" not in str(error.value).replace("address", "").replace("password", "")


@pytest.mark.parametrize(
    "address, shown",
    [
        ("rtsp://anna:s3cret@cam:554/x", "rtsp://cam:554/x"),
        ("rtsp://anna:s3/c@r?e#t@cam/x", "rtsp://cam/x"),
        ("http://cam/x?token=s3cret#here", "http://cam/x"),
        ("anna@example.org", "anna@example.org"),
        ("demo", "demo"),
    ],
)
def test_what_is_shown(address, shown):
    assert without_secrets(address) == shown


def test_schemes():
    assert scheme_of("RTSP://cam") == "rtsp"
    assert scheme_of("10:30.mp4") == scheme_of("://x") == scheme_of("/a://b") == ""
