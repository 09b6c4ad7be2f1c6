"""Imports point one way, between the rooms and inside each, and the device loads little."""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("device", "models", "convert")
#: What each room may import of the others.
ROOM_NEEDS = {"device": (), "models": ("device",), "convert": ("models", "device")}

#: The parts of every room, modules and sub-packages, lowest first: a part imports from lower lines
#: only. Inside a sub-package, imports make no circle.
LAYERS = {
    "device": [
        ["errors"],
        ["log", "atomic", "board", "json_form", "html_page", "opencv_path", "parsing"],
        ["cli", "images", "addresses", "signing"],
        ["config", "bundle", "sources"],
        ["recognition"],
        ["teaching"],
        ["trial", "annotate"],
        ["history"],
        ["outputs"],
        ["live"],
        ["system"],
        ["flash", "bench"],
        ["fleet"],
        ["commands"],
    ],
    "models": [
        ["backend", "files", "pixels"],
        ["settings"],
        ["data"],
        ["language", "networks", "options"],
        ["run_folder"],
        ["evaluation"],
        ["training"],
        ["commands"],
    ],
    "convert": [
        ["interrupts", "options"],
        ["tflite", "representative"],
        ["agreement", "qat", "report"],
        ["mixed"],
        ["conversion"],
        ["convert", "import_tflite"],
        ["import_network"],
        ["import_torch"],
        ["benchmarks", "commands"],
    ],
}

#: All that the device's files may import beside the standard library and numpy, cv2 and click:
#: picamera2, paho, starlette, uvicorn (and h11) and yaml where they are used; flatbuffers and the
#: schema, which come with the runtime, where a graph is read or written.
DEVICE_NEEDS = {
    "click",
    "cv2",
    "numpy",
    "picamera2",
    "paho",
    "flatbuffers",
    "ai_edge_litert",
    "starlette",
    "h11",
    "uvicorn",
    "python_multipart",
    "prometheus_client",
    "yaml",
    "distributed",
    "fsspec",
    "pyarrow",
    "cryptography",
}
#: What `import picaption.device` may load.
LOADED_BY_DEVICE = {"picaption", "click", "cv2", "numpy", "ai_edge_litert", "flatbuffers"}
#: The most modules in a folder, which a reader can keep in mind.
MAX_MODULES = 13


def module_name(path):
    """Return the dotted name of a file of the repository."""
    parts = ["picaption", *path.relative_to(ROOT).with_suffix("").parts]
    return ".".join(parts).removesuffix(".__init__")


FILES = {module_name(path): path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))}


@cache
def parse(name):
    return ast.parse(FILES[name].read_text(encoding="utf-8"))


def import_nodes(body, only_loading):
    """Yield the imports in statements; `only_loading`: those that run when the module loads."""
    for node in body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node
            continue
        is_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        is_for_types = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if only_loading and (is_function or is_for_types):
            continue
        for field in ("body", "orelse", "finalbody", "handlers", "cases"):
            yield from import_nodes(getattr(node, field, []), only_loading)


def imports(name, only_loading=False):
    """Return the dotted names that a module imports; of picaption's own, the modules."""
    package = name.split(".")
    if FILES[name].name != "__init__.py":
        package = package[:-1]
    names = set()
    for node in import_nodes(parse(name).body, only_loading):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
            continue
        base = package[: len(package) - node.level + 1] if node.level else []
        module = ".".join([*base, *([node.module] if node.module else [])])
        for alias in node.names:
            submodule = f"{module}.{alias.name}"
            names.add(submodule if submodule in FILES else module)
    return names - {name}


def part(name):
    """Return the room of a module of picaption, and the part of the room: ("device", "config")."""
    _, room, *rest = name.split(".")
    return room, rest[0] if rest else ""


def layer(name):
    """Return the height of the part that a module belongs to; a room's face is above all."""
    room, room_part = part(name)
    heights = {layer_part: height for height, row in enumerate(LAYERS[room]) for layer_part in row}
    return heights[room_part] if room_part else len(LAYERS[room])


def circle(graph):
    """Return the names along a circle in {name: names it points to}, or None."""
    done = set()

    def search(name, path):
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return None
        for target in sorted(graph.get(name, ())):
            names = search(target, [*path, name])
            if names:
                return names
        done.add(name)
        return None

    for name in sorted(graph):
        names = search(name, [])
        if names:
            return names
    return None


def loaded_packages(statement):
    """Return the top-level packages that a statement loads in a fresh process, without stdlib."""
    program = (
        "import sys\n"
        "before = set(sys.modules)\n"
        f"{statement}\n"
        "print(*{name.partition('.')[0] for name in set(sys.modules) - before})"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True
    )
    return set(result.stdout.split()) - set(sys.stdlib_module_names)


# --- rooms


@pytest.mark.parametrize("name", FILES)
def test_rooms_import_one_way(name):
    room, _ = part(name)
    rooms = {part(target)[0] for target in imports(name) if target.startswith("picaption.")}
    assert rooms - {room} <= set(ROOM_NEEDS[room])
    assert not imports(name) & {"device", "models", "convert"}  # A user's own.


@pytest.mark.parametrize("name", FILES)
def test_inside_a_room_imports_are_relative_and_across_rooms_absolute(name):
    room, _ = part(name)
    for node in import_nodes(parse(name).body, only_loading=False):
        if isinstance(node, ast.ImportFrom) and not node.level:
            assert node.module != f"picaption.{room}"
            assert not node.module.startswith(f"picaption.{room}.")


@pytest.mark.parametrize("room", ROOMS)
def test_the_layers_name_every_part_of_a_room(room):
    parts = {part(name)[1] for name in FILES if part(name)[0] == room} - {""}
    assert sorted(parts) == sorted(room_part for row in LAYERS[room] for room_part in row)


@pytest.mark.parametrize("name", FILES)
def test_parts_of_a_room_import_from_lower_layers_only(name):
    room, room_part = part(name)
    for target in imports(name):
        if not target.startswith(f"picaption.{room}."):
            continue
        if part(target)[1] not in (room_part, ""):
            assert layer(target) < layer(name), f"{name} imports {target}"


def test_no_module_imports_itself_in_a_circle():
    # Of a package's own name, a module takes constants, which stand in its __init__.
    graph = {name: imports(name, only_loading=True) & FILES.keys() for name in FILES}
    assert circle(graph) is None


def test_circles_are_recognised():
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) is None
    assert circle({"a": {"b"}, "b": {"c", "d"}, "c": set(), "d": {"b"}}) == ["b", "d", "b"]


@pytest.mark.parametrize(
    "folder", sorted({str(path.parent.relative_to(ROOT)) for path in FILES.values()})
)
def test_no_folder_holds_more_modules_than_a_reader_can_keep_in_mind(folder):
    modules = [path.name for path in (ROOT / folder).glob("*.py") if path.name != "__init__.py"]
    assert len(modules) <= MAX_MODULES


# --- what the device needs


@pytest.mark.parametrize("name", [name for name in FILES if name.startswith("picaption.device")])
def test_the_device_imports_little(name):
    packages = {target.partition(".")[0] for target in imports(name)}
    assert packages - set(sys.stdlib_module_names) - {"picaption"} <= DEVICE_NEEDS


def test_importing_the_device_loads_little():
    assert loaded_packages("import picaption.device") <= LOADED_BY_DEVICE


def test_no_part_of_the_device_loads_what_training_needs():
    names = [name for name in FILES if name.startswith("picaption.device")]
    assert len(names) > 50
    loaded = loaded_packages(
        f"import {', '.join(names)}\n"
        "assert not {'picaption.models', 'picaption.convert'} & set(sys.modules)"
    )
    assert not loaded & {"tensorflow", "keras", "picamera2", "pycocoevalcap", "tqdm"}


# --- documentation


@pytest.mark.parametrize("name", FILES)
def test_whatever_is_public_has_a_docstring(name):
    def public(nodes):
        return [
            node
            for node in nodes
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")
        ]

    module = parse(name)
    documented = [module, *public(module.body)]
    for node in documented[1:]:
        # The attributes of a protocol are documented in its own docstring.
        if isinstance(node, ast.ClassDef):
            documented += [
                member for member in public(node.body) if ast.unparse(member.body[-1]) != "..."
            ]
    assert [getattr(node, "name", name) for node in documented if not ast.get_docstring(node)] == []
