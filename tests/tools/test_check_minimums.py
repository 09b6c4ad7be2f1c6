"""Which minimums have a known hole; those of setup.cfg have none that is not accepted."""

import pytest

from tools.check_minimums import ACCEPTED, SETUP_CFG, holes, requirements


def test_setup_cfg_has_none():
    assert holes(SETUP_CFG) == []


def test_what_is_accepted_is_still_there():
    assert ACCEPTED.keys() <= set(requirements(SETUP_CFG))


@pytest.mark.parametrize(
    "requirement, packages",
    [
        ("opencv-python-headless>=4.11", ["opencv-python-headless>=4.11"]),
        ("opencv-python-headless>=4.12", []),
        ("keras", ["keras"]),
        ("keras==3.13.1", ["keras==3.13.1"]),
        ("keras>=3.13.2,<4", []),
        ("keras-hub>=0.1", []),
        ("h11>=0.9", ["h11>=0.9"]),
    ],
)
def test_the_least_version_counts(tmp_path, requirement, packages):
    path = tmp_path / "setup.cfg"
    path.write_text(
        "[options]\ninstall_requires =\n    numpy\n"
        f"[options.extras_require]\nx =\n    {requirement}\n"
    )
    assert [line.partition(":")[0] for line in holes(path)] == packages
