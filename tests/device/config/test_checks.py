"""The rules that settings follow."""

import pytest

from picaption.device.config.checks import is_loopback


@pytest.mark.parametrize(
    "host, expected",
    [
        ("127.0.0.1", True),
        ("127.9.8.7", True),
        ("localhost", True),
        ("::1", True),
        ("0.0.0.0", False),
        ("::", False),
        ("127.0.0.1.evil.org", False),
        ("192.168.1.2", False),
        ("", False),
    ],
)
def test_what_is_this_computer_alone(host, expected):
    assert is_loopback(host) is expected
