"""Manifests: signed, of one spelling, and who they are for."""

from dataclasses import replace

import pytest

from picaption.device.errors import PicaptionError
from picaption.device.fleet.rollout.health import Rules
from picaption.device.fleet.rollout.manifest import (
    ABORTED,
    DONE,
    PAUSED,
    parse_manifest,
    position,
    sign_manifest,
)
from picaption.device.signing.keys import make_private_key


def test_every_bit_of_a_manifest_counts(ring, private, manifest):
    data = sign_manifest(manifest, private)
    assert parse_manifest(data, ring) == manifest
    for bit in range(0, 8 * len(data), 3):
        altered = bytearray(data)
        altered[bit // 8] ^= 1 << (bit % 8)
        with pytest.raises(PicaptionError) as error:
            parse_manifest(bytes(altered), ring)
        assert "\n" not in str(error.value)


def test_only_who_is_trusted_may_sign(ring, manifest):
    with pytest.raises(PicaptionError, match="which is not trusted here"):
        parse_manifest(sign_manifest(manifest, make_private_key()), ring)
    with pytest.raises(PicaptionError, match="it is longer than 32768 bytes"):
        parse_manifest(b"x" * 32_769, ring)


@pytest.mark.parametrize(
    "changes",
    [
        {"share": float("1e9")},
        {"size": 1 << 40},
        {"size": True},
        {"state": "eaten"},
        {"artifact": "virus"},
        {"url": "ftp://x/y"},
        {"url": "file://host/x"},
        {"url": "https:///x"},
        {"id": "../../etc"},
        {"who": (1,)},
        {"withdrawn": ("x",)},
        {"withdrawn": ("0" * 16,) * 101},
        {"serial": -1},
        {"rules": Rules(alpha="much")},
        {"label": None},
    ],
)
def test_signed_nonsense_is_refused(ring, private, manifest, changes):
    with pytest.raises(PicaptionError):
        parse_manifest(sign_manifest(replace(manifest, **changes), private), ring)


def test_devices_stand_evenly_and_elsewhere_in_each_roll_out():
    positions = [position("0" * 16, f"device-{index}") for index in range(2000)]
    assert 80 <= sum(place < 5 for place in positions) <= 120
    others = [position("1" * 16, f"device-{index}") for index in range(2000)]
    both = sum(left < 5 and right < 5 for left, right in zip(positions, others))
    assert both <= 15  # 5 are expected.


def test_who_it_is_for_and_when(manifest):
    assert manifest.is_due("kitchen") and replace(manifest, state=DONE).is_due("kitchen")
    for state in (PAUSED, ABORTED):
        assert not replace(manifest, state=state).is_due("kitchen")
    assert not replace(manifest, who=("shop-*",)).is_due("kitchen")
    assert replace(manifest, who=("shop-*", "kit*")).is_due("kitchen")
    due_share = position(manifest.id, "kitchen")
    assert not replace(manifest, share=due_share).is_due("kitchen")
    assert replace(manifest, share=due_share + 0.01).is_due("kitchen")


def test_what_it_withdraws(manifest):
    assert not manifest.withdraws(manifest.id)
    aborted = replace(manifest, state=ABORTED, withdrawn=("0" * 16,))
    assert aborted.withdraws(manifest.id) and aborted.withdraws("0" * 16)
