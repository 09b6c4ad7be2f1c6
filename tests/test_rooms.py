"""Imports point one way, the device's need no training packages, and whatever is public is explained."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [
    str(path.relative_to(ROOT))
    for room in ("device", "models", "convert")
    for path in sorted((ROOT / room).rglob("*.py"))
]
#: All that the device's files may import beside the standard library; picamera2 and paho where they are used only, flatbuffers
#: and the schema, which come with the runtime, where a graph is written, starlette and uvicorn for the page, yaml for a card's seed.
DEVICE_NEEDS = {
    "relative",
    "picaption.device",
    "click",
    "cv2",
    "numpy",
    "picamera2",
    "paho",
    "flatbuffers",
    "ai_edge_litert",
    "starlette",
    "uvicorn",
    "yaml",
}

PROGRAM = """
import importlib, pkgutil, sys
from picaption import device
names = [name for _, name, _ in pkgutil.walk_packages(device.__path__, "picaption.device.")]
for name in names:
    importlib.import_module(name)
print(*names)
print(*sorted({name.partition(".")[0] for name in sys.modules} | {"picaption." + name.split(".")[1] for name in sys.modules
                                                                 if name.startswith("picaption.")}))
"""


def parsed(name):
    return ast.parse((ROOT / name).read_text(encoding="utf-8"))


def imported(name):
    """Return the top-level packages that a file imports, wherever in it; "relative" for one that names none."""
    nodes = list(ast.walk(parsed(name)))
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += [
        node.module if not node.level else "relative"
        for node in nodes
        if isinstance(node, ast.ImportFrom)
    ]
    return {
        ".".join(name.split(".")[: 2 if name.startswith("picaption.") else 1]) for name in names
    }


def test_the_device_loads_nothing_that_training_needs():
    result = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, cwd=ROOT, check=True
    )
    modules, loaded = (set(line.split()) for line in result.stdout.splitlines())
    assert modules >= {
        "picaption.device.cli",
        "picaption.device.commands",
        "picaption.device.live.loop",
        "picaption.device.sources.sources",
        "picaption.device.outputs.terminal",
        "picaption.device.bench.bench",
    }
    assert not loaded & {
        "tensorflow",
        "keras",
        "picaption.models",
        "picaption.convert",
        "picamera2",
        "pycocoevalcap",
        "tqdm",
    }


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("device")])
def test_the_device_imports_little_and_no_other_room(name):
    assert imported(name) - set(sys.stdlib_module_names) <= DEVICE_NEEDS


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("models")])
def test_models_imports_no_conversion(name):
    assert not imported(name) & {"picaption.convert", "convert"}


@pytest.mark.parametrize("name", FILES)
def test_whatever_is_public_has_a_docstring(name):
    def public(nodes):
        return [
            node
            for node in nodes
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and not node.name.startswith("_")
        ]

    module = parsed(name)
    explained = [module, *public(module.body)]
    for node in explained[1:]:
        if isinstance(node, ast.ClassDef):
            explained += public(node.body)
    assert [getattr(node, "name", name) for node in explained if not ast.get_docstring(node)] == []
