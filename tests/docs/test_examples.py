"""Settings and programs in the pages: they are valid as they stand, and name what exists."""

import ast
import re
from pathlib import Path

import pytest

from picaption.device.config.toml import load_config
from picaption.models.settings import read_settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def blocks(language):
    """Return the blocks of code in a language, each with its page's name."""
    pattern = re.compile(rf"^ *```{language}\n(.*?)^ *```", re.DOTALL | re.MULTILINE)
    found = []
    for page in PAGES:
        texts = pattern.findall(page.read_text(encoding="utf-8"))
        found += [pytest.param(text, id=f"{page.stem}-{i}") for i, text in enumerate(texts)]
    return found


@pytest.mark.parametrize("text", blocks("toml"))
def test_settings_are_valid(text, tmp_path):
    path = tmp_path / "picaption.toml"
    path.write_text(re.sub(r"^   (?=\S)", "", text, flags=re.MULTILINE), encoding="utf-8")
    if re.search(r"^(network|captions|folders) =", text, re.MULTILINE):
        read_settings(path)
    else:
        load_config({}, path, {})


@pytest.mark.parametrize("text", blocks("python"))
def test_programs_are_python_and_import_what_exists(text):
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("picaption."):
            module = __import__(node.module, fromlist=["names"])
            assert all(hasattr(module, alias.name) for alias in node.names)
