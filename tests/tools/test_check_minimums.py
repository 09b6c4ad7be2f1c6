"""Which minimums have a known hole; those of this project have none."""

import re

import pytest

from tools.check_minimums import ROOT, holes, requirements

#: What the project itself asks for in every case.
SETUP = "[options]\ninstall_requires =\n    numpy>=1.26\n[options.extras_require]\nx =\n    "
PYPROJECT = '[build-system]\nrequires = ["setuptools>=83"]\n'


def test_this_project_has_none():
    assert holes(ROOT) == []


def test_no_extra_allows_an_opencv_with_the_hole():
    opencv = [line for line in requirements(ROOT) if line.startswith("opencv")]
    minimum, *others = opencv
    assert not others
    least = re.fullmatch(r"opencv-python-headless>=(\d+)\.(\d+)", minimum)
    assert least and tuple(map(int, least.groups())) >= (4, 12)


@pytest.mark.parametrize(
    "requirement, names",
    [
        ("opencv-python-headless>=4.11", ["CVE-2025-53644", "CVE-2026-22801, CVE-2026-40962"]),
        ("opencv-python-headless<4.12", ["CVE-2025-53644", "CVE-2026-22801, CVE-2026-40962"]),
        ("opencv-python-headless>=4.14", []),
        ("keras", ["CVE-2026-1462", "GHSA-hqp4-2352-xf5r", "its release notes"]),
        ("keras>=3.14.1,<4", ["its release notes"]),
        ("keras==3.15.1", []),
        ("Jinja2>=3", ["CVE-2025-27516"]),
        ("picaption[web]", []),
    ],
)
def test_the_least_version_counts(tmp_path, requirement, names):
    (tmp_path / "setup.cfg").write_text(SETUP + requirement + "\n")
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    lines = holes(tmp_path)
    assert all(line.startswith(f"{requirement}: needs >=") for line in lines)
    assert [line.partition("(")[2].partition(":")[0] for line in lines] == names


def test_what_builds_it_counts_too(tmp_path):
    (tmp_path / "setup.cfg").write_text(SETUP + "tqdm>=4.66.3\n")
    (tmp_path / "pyproject.toml").write_text(PYPROJECT.replace("83", "78.1.1"))
    (line,) = holes(tmp_path)
    assert line.startswith("setuptools>=78.1.1: needs >=83 (CVE-2026-59890")


def test_a_package_that_nobody_looked_at_is_told(tmp_path):
    (tmp_path / "setup.cfg").write_text(SETUP + "keras-hub>=0.1\n")
    (tmp_path / "pyproject.toml").write_text(PYPROJECT)
    line = "keras-hub>=0.1: nobody has looked whether keras-hub has known holes"
    assert holes(tmp_path) == [line]
