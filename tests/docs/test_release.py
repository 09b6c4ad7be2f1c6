"""One version: setup.cfg has it, and what repeats it agrees."""

import configparser
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]


def project_version() -> str:
    """Return the version in setup.cfg."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    return config["metadata"]["version"]


def test_the_citation_names_the_version_and_its_day():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    released = re.search(r"^date-released: (\S+)$", citation, re.MULTILINE)
    assert f"\nversion: {project_version()}\n" in citation
    assert released
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert f"\n## {project_version()} - {released[1]}\n" in changelog


def test_the_changelog_has_one_heading_for_each_version_and_the_newest_first():
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.+)$", changelog, re.MULTILINE)
    assert headings[0] == "Unreleased"
    versions = [tuple(map(int, heading.split(" ")[0].split("."))) for heading in headings[1:]]
    assert versions == sorted(set(versions), reverse=True)
