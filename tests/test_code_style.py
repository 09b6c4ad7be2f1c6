"""The code stays plain: telling names, one statement a line, types on everything."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("device", "models", "convert")
FILES = [
    str(path.relative_to(ROOT)) for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))
]

#: Words that say nothing of a thing, wherever they stand between underscores in an identifier.
VAGUE_WORDS = frozenset(
    ["told", "seen", "said", "again", "given", "gives", "kept", "whole", "each", "squash"]
    + ["picture", "pictures"]
)
#: Identifiers that are as vague by themselves, and useful as a part of longer ones.
VAGUE_NAMES = frozenset(
    ["found", "kind", "kinds", "place", "places", "other", "others", "one", "tell", "judge"]
)

LINE_LENGTH = 100
#: What prints otherwise than by picaption.device.log.say: it escapes by itself (terminal, JSON,
#: TOML, errors), is read by this program, or stands alone on a card.
PRINTERS = frozenset(
    ["device/log.py", "device/cli.py", "device/commands.py", "device/trial.py"]
    + ["device/outputs/terminal.py", "device/outputs/jsonl.py", "device/flash/installer.py"]
    + ["convert/tflite/trial.py"]
    # A line that begins with what clears the terminal's, of numbers alone.
    + ["device/annotate/progress.py"]
)
#: The most per 1,000 lines: packed assignments, conditional expressions, lambdas.
PACKED, CONDITIONAL, LAMBDA = 5, 12, 2


def parse(file: str) -> ast.Module:
    """Return the syntax tree of a file of the repository."""
    return ast.parse((ROOT / file).read_text(encoding="utf-8"))


def identifiers(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """Yield every name that the module gives to something, with its line."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.id if isinstance(node, ast.Name) else node.attr, node.lineno
        elif isinstance(node, ast.ExceptHandler) and node.name:
            yield node.name, node.lineno
        elif isinstance(node, ast.alias) and node.asname:
            yield node.asname, node.lineno


def is_vague(name: str) -> bool:
    """Return whether an identifier is, or contains, a word that says nothing."""
    words = name.lower().strip("_").split("_")
    return name.strip("_") in VAGUE_NAMES or not VAGUE_WORDS.isdisjoint(words)


def functions(tree: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return all functions and methods of a module."""
    return [
        node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]


def unannotated(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    """Return the parameters of a function without a type, "return" for a missing return type."""
    arguments = function.args
    parameters = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    parameters += [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
    missing = [
        parameter.arg
        for parameter in parameters
        if parameter.annotation is None and parameter.arg not in ("self", "cls")
    ]
    if function.returns is None:
        missing.append("return")
    return missing


def density(files: list[str], matches: object) -> float:
    """Return how many nodes `matches` holds for, per 1,000 lines of the files."""
    count = sum(bool(matches(node)) for file in files for node in ast.walk(parse(file)))
    lines = sum(len((ROOT / file).read_text(encoding="utf-8").splitlines()) for file in files)
    return 1000 * count / lines


def is_packed(node: ast.AST) -> bool:
    """Return whether a node assigns several values at once, as in `a, b = 1, 2`."""
    return (
        isinstance(node, ast.Assign)
        and isinstance(node.value, ast.Tuple)
        and any(isinstance(target, ast.Tuple) for target in node.targets)
    )


@pytest.mark.parametrize("file", FILES)
def test_names_say_what_they_name(file: str) -> None:
    vague = [f"{file}:{line}: {name}" for name, line in identifiers(parse(file)) if is_vague(name)]
    assert vague == []


@pytest.mark.parametrize("file", FILES)
def test_everything_has_types(file: str) -> None:
    missing = {
        f"{file}:{function.lineno}: {function.name}": unannotated(function)
        for function in functions(parse(file))
    }
    assert {name: parameters for name, parameters in missing.items() if parameters} == {}


@pytest.mark.parametrize("file", FILES)
def test_lines_are_short(file: str) -> None:
    # ruff lets lines with an address pass.
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    assert [index for index, line in enumerate(lines, 1) if len(line) > LINE_LENGTH] == []


@pytest.mark.parametrize("room", ROOMS)
@pytest.mark.parametrize(
    ("matches", "most"),
    [
        (is_packed, PACKED),
        (lambda node: isinstance(node, ast.IfExp), CONDITIONAL),
        (lambda node: isinstance(node, ast.Lambda), LAMBDA),
    ],
    ids=["packed assignments", "conditional expressions", "lambdas"],
)
def test_one_statement_a_line(room: str, matches: object, most: int) -> None:
    files = [file for file in FILES if file.startswith(room)]
    assert density(files, matches) < most


@pytest.mark.parametrize("file", FILES)
def test_what_is_printed_goes_through_say(file: str) -> None:
    if file in PRINTERS or "/bench" in file:
        return
    for node in ast.walk(parse(file)):
        if isinstance(node, ast.Call):
            assert ast.unparse(node.func) not in ("print", "click.echo"), (file, node.lineno)


def test_vague_names_are_recognised() -> None:
    assert [
        name for name in ("told", "_kept", "told_at", "found", "foundry") if is_vague(name)
    ] == [
        "told",
        "_kept",
        "told_at",
        "found",
    ]
    names = [name for name, _ in identifiers(ast.parse("def f(each, *, b): said = b.kind = 1"))]
    assert [name for name in names if is_vague(name)] == ["each", "said", "kind"]
