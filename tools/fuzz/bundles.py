"""Open and use mutated bundles, whose content hash is made right again, as an attacker would.

    python -m tools.fuzz.bundles [--runs N] [--seed S] [--keep FOLDER] [BUNDLE]

Each input is a mutation of BUNDLE, by default that of the tests. It is opened as every command
opens it, but for the child process that tries it, which is forked from one that has its modules
loaded; what is accepted is then used here for one recognition. Wanted is a recognition or one line:
tracebacks, crashes and hangs are counted, and exit code 1 says that there were some.
"""

import argparse
import collections
import contextlib
import copy
import json
import multiprocessing
import os
import random
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from picaption.device.bundle.archive import (
    HASH,
    content_hash,
    parse_bundle,
    split_bundle,
    zip_bundle,
)
from picaption.device.bundle.bundle import Bundle, default_bundle
from picaption.device.bundle.flatbuffer import pack_model
from picaption.device.bundle.summary import summarize, summary_lines
from picaption.device.bundle.trust.trust import (
    CHILD_INPUT,
    UNUSABLE,
    USABLE,
    need_trust,
    need_usable,
)
from picaption.device.errors import PicaptionError
from picaption.device.recognition.recognizer import Recognizer
from picaption.device.trial import try_bundle

BUNDLE = Path(__file__).parents[2] / "tests" / "data" / "tiny.tflite"
#: Seconds of computing from which an input counts as a hang.
HANG_SECONDS = 10.0
#: Seconds without a word after which the process that opens bundles is ended.
_DEADLINE_SECONDS = 600.0
#: What the process has loaded that the others are forked from.
PRELOADED = [
    "picaption.device.trial",
    "picaption.device.bundle.summary",
    "ai_edge_litert.interpreter",
]

#: Numbers that programs forget.
_ODD_NUMBERS = (0, 1, -1, 2, 3, 127, 128, 255, 256, 65535, 1 << 20, 1 << 30, 2**31 - 1, -(2**31))
#: Texts that programs forget.
_ODD_TEXTS = (
    "",
    "\x1b[31mred",
    "a\rb",
    "\x00",
    "é" * 300,
    "../../x",
    "<b>",
    "\u202e",
    "nan",
    "a b",
)
_ODD_VALUES: tuple[Any, ...] = (*_ODD_NUMBERS, *_ODD_TEXTS, None, True, [], {}, 0.5, 1e308, 10**30)

#: What the processes computed for that tried the bundle of the moment.
_forked_seconds: list[float] = []

Members = dict[str, bytes]
GraphMutator = Callable[[random.Random, bytes], bytes]


# --- mutations of the graph's bytes


def flip_bytes(chance: random.Random, graph: bytes) -> bytes:
    """Return a graph with a few bytes changed."""
    changed = bytearray(graph)
    for _ in range(chance.choice((1, 1, 2, 4, 16))):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def replace_numbers(chance: random.Random, graph: bytes) -> bytes:
    """Return a graph with a few numbers of 32 bits replaced by odd ones."""
    changed = bytearray(graph)
    for _ in range(chance.choice((1, 1, 2, 3))):
        position = chance.randrange(len(changed) // 4) * 4
        number = chance.choice(_ODD_NUMBERS) & 0xFFFFFFFF
        if chance.random() < 0.5:
            number = int.from_bytes(changed[position : position + 4], "little")
            number = (number + chance.randint(-9, 9)) & 0xFFFFFFFF
        changed[position : position + 4] = number.to_bytes(4, "little")
    return bytes(changed)


def move_bytes(chance: random.Random, graph: bytes) -> bytes:
    """Return a graph that is cut short, or has bytes put in, taken out or doubled."""
    start = chance.randrange(8, len(graph))
    end = min(len(graph), start + chance.choice((1, 4, 64, 4096)))
    action = chance.randrange(4)
    if action == 0:
        return graph[:start]
    if action == 1:
        return graph[:start] + graph[end:]
    if action == 2:
        return graph[:end] + graph[start:]
    return graph[:start] + chance.randbytes(end - start) + graph[end:]


# --- mutations of what the graph says


def mutate_model(chance: random.Random, graph: bytes) -> bytes:
    """Return a graph, written again, in which a few values of the schema's objects are others."""
    model = schema.ModelT.InitFromPackedBuf(graph, 0)
    done = 0
    for _ in range(100):
        done += _mutate_object(chance, chance.choice(_objects(model)))
        if done >= chance.choice((1, 1, 2, 3)):
            break
    try:
        return pack_model(model, named=True)
    except Exception:  # The schema's own writer does not take everything.
        return flip_bytes(chance, graph)


def _objects(model: Any) -> list[Any]:
    """Return the objects of a model, a list of those of each type, one of which is drawn."""
    subgraphs = list(model.subgraphs)
    operators = [operator for subgraph in subgraphs for operator in subgraph.operators]
    tensors = [tensor for subgraph in subgraphs for tensor in subgraph.tensors]
    options = [operator.builtinOptions for operator in operators if operator.builtinOptions]
    quantizations = [tensor.quantization for tensor in tensors if tensor.quantization]
    ends = [end for signature in model.signatureDefs for end in signature.inputs]
    ends += [end for signature in model.signatureDefs for end in signature.outputs]
    lists = [operators, operators, tensors, tensors, options, quantizations, subgraphs]
    lists += [model.operatorCodes, model.buffers, model.signatureDefs, ends]
    return [group for group in lists if len(group)]


def _mutate_object(chance: random.Random, group: list[Any]) -> bool:
    """Change one value of one object of a list, or the list; return whether anything changed."""
    if chance.random() < 0.05 and len(group) > 1:
        left, right = chance.sample(range(len(group)), 2)
        group[left].__dict__, group[right].__dict__ = group[right].__dict__, group[left].__dict__
        return True
    item = chance.choice(group)
    names = [name for name, value in vars(item).items() if _is_plain(value)]
    if not names:
        return False
    name = chance.choice(names)
    value = getattr(item, name)
    changed = _mutate_value(chance, value)
    setattr(item, name, changed)
    return changed is not value


def _is_plain(value: Any) -> bool:
    return isinstance(value, int | float | bytes | np.ndarray)


def _mutate_value(chance: random.Random, value: Any) -> Any:
    """Return another number, text or array."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        if chance.random() < 0.7:
            return max(0, value + chance.randint(-3, 3))
        return chance.choice((0, 1, 2, 3, 7, 100, 127))
    if isinstance(value, float):
        return chance.choice((0.0, -1.0, 1e-30, 1e30, float("nan"), float("inf"), value * 1000))
    if isinstance(value, bytes):
        return chance.choice(_ODD_TEXTS).encode()
    return _mutate_array(chance, value)


def _mutate_array(chance: random.Random, array: np.ndarray) -> np.ndarray:
    """Return an array with an element changed, put in or taken out."""
    changed = array.copy()
    action = chance.randrange(6)
    if action == 0 and len(changed):
        return changed[:-1]
    if action == 1:
        return np.append(changed, changed[:1] if len(changed) else np.zeros(1, changed.dtype))
    if not len(changed):
        return changed
    index = chance.randrange(len(changed))
    if changed.dtype.kind == "f":
        changed[index] = chance.choice((0.0, -1.0, 1e-30, 1e30, float("nan"), float("inf")))
    elif action == 2:
        bounds = np.iinfo(changed.dtype)
        changed[index] = min(max(chance.choice(_ODD_NUMBERS), bounds.min), bounds.max)
    elif changed.dtype != np.uint8 or chance.random() < 0.5:
        changed[index] = np.array(int(changed[index]) + chance.randint(-4, 4)).astype(changed.dtype)
    else:
        changed[:] = chance.choice((0, 127, 128, 255))
    return changed


# --- mutations of words and metadata


def mutate_metadata(chance: random.Random, members: Members) -> None:
    """Change a value somewhere in metadata.json."""
    values = json.loads(members["metadata.json"])
    if chance.random() < 0.1:
        depth = chance.choice((10, 100, 900, 5000, 100_000))
        text = '{"a":' * depth + "1" + "}" * depth
        values["provenance"] = "DEEP"
        members["metadata.json"] = json.dumps(values).replace('"DEEP"', text).encode()
        return
    parent = values
    name = chance.choice(list(parent))
    while isinstance(parent[name], dict) and parent[name] and chance.random() < 0.8:
        parent = parent[name]
        name = chance.choice(list(parent))
    value = parent[name]
    if isinstance(value, list) and value and chance.random() < 0.7:
        value[chance.randrange(len(value))] = chance.choice(_ODD_VALUES)
    elif isinstance(value, float | int) and chance.random() < 0.5:
        parent[name] = value * chance.choice((-1, 0, 2, 1000, float("nan"), float("inf")))
    else:
        parent[name] = chance.choice(_ODD_VALUES)
    members["metadata.json"] = json.dumps(values).encode()


def mutate_words(chance: random.Random, members: Members) -> None:
    """Change lines of a list of words, or its bytes."""
    name = chance.choice([name for name in members if name != "metadata.json"])
    lines = members[name].split(b"\n")
    action = chance.randrange(4)
    if action == 0:
        lines[chance.randrange(len(lines))] = chance.choice(_ODD_TEXTS).encode()
    elif action == 1:
        lines[chance.randrange(len(lines))] = chance.randbytes(4)
    elif action == 2:
        del lines[chance.randrange(len(lines))]
    else:
        lines.append(chance.choice(lines))
    members[name] = b"\n".join(lines)


def mutate(chance: random.Random, bundle: bytes) -> bytes:
    """Return a mutated bundle with a right hash."""
    graph, members = split_bundle(bundle)
    members = dict(members)
    del members[HASH]
    draw = chance.random()
    if draw < 0.08:
        mutate_metadata(chance, members)
    elif draw < 0.13:
        mutate_words(chance, members)
    elif draw < 0.15:
        changed = bytearray(bundle)
        changed[chance.randrange(len(graph), len(bundle))] = chance.randrange(256)
        return bytes(changed)
    else:
        mutators: tuple[GraphMutator, ...] = (
            *(flip_bytes, replace_numbers, move_bytes),
            *(mutate_model, mutate_model, mutate_model),
        )
        graph = chance.choice(mutators)(chance, graph)
    members[HASH] = content_hash(graph, members).encode()
    return zip_bundle(graph, members)


# --- how a mutated bundle is used


def _try_in_fork(connection: Connection, data: bytes) -> None:
    """Send why a bundle is unusable, None if it is usable: in a process that may break."""
    descriptor = os.memfd_create("bundle")
    os.write(descriptor, data)
    line = try_bundle(f"/proc/self/fd/{descriptor}")
    connection.send((line, time.process_time()))
    connection.close()
    os._exit(USABLE if line is None else UNUSABLE)


def try_in_fork(data: bytes, path: str | Path) -> None:
    """Do what picaption.device.bundle.trust.trust.try_in_child does, in a tenth of the time."""
    context = multiprocessing.get_context("forkserver")
    receiver, sender = context.Pipe(duplex=False)
    child = context.Process(target=_try_in_fork, args=(sender, data))
    child.start()
    sender.close()
    line = ""
    if receiver.poll(_DEADLINE_SECONDS):
        with contextlib.suppress(EOFError):
            line, seconds = receiver.recv()
            _forked_seconds.append(seconds)
    child.join(1)
    if child.exitcode is None:
        child.kill()
        child.join()
    receiver.close()
    line = re.sub(r"/proc/self/fd/\d+", CHILD_INPUT, line or "")
    need_usable(child.exitcode or 0, line.encode(errors="replace"), path)


def use(data: bytes, path: Path) -> str:
    """Open and use a bundle as the commands do; return what came of it."""
    path.write_bytes(data)
    try:
        summary = "\n".join(summary_lines(summarize(path), operators=True))
        json.dumps(summary)
    except PicaptionError as error:
        _need_line(error)
    try:
        contents = parse_bundle(data, path)
        need_trust(data, contents.graph, path, default_bundle(), try_in_fork)
        bundle = Bundle(path, threads=1, trusted=True)
        image = np.random.default_rng(1).integers(0, 256, (48, 80, 3), np.uint8)
        json.dumps(Recognizer(bundle)(image).to_json())
    except PicaptionError as error:
        _need_line(error)
        return f"refused: {_sort(str(error), path)}"
    return "used"


def _need_line(error: PicaptionError) -> None:
    if "\n" in str(error) or len(str(error)) > 1000:
        raise AssertionError("an error is not one line")


def _sort(message: str, path: Path) -> str:
    """Return which sort of message it is: without numbers and names."""
    text = message.replace(f"{path}: ", "").partition(":")
    words = re.sub(r"'[^']*'|\"[^\"]*\"|[-\d.]+", "_", text[0] + text[1] + text[2][:60])
    return " ".join(words.split())[:90]


@dataclass(frozen=True)
class Record:
    """What came of an input: its seed, what happened, and the seconds that were computed."""

    seed: int
    outcome: str
    seconds: float


def _work(connection: Connection, bundle: bytes, seeds: list[int]) -> None:
    """Use the bundle's mutations of these seeds, and send a Record of each."""
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_CACHE_HOME"] = folder
        path = Path(folder, "mutated.tflite")
        for seed in seeds:
            data = mutate(random.Random(seed), bundle)
            _forked_seconds.clear()
            started = time.process_time()
            try:
                outcome = use(data, path)
            except Exception as error:
                outcome = f"TRACEBACK: {type(error).__name__}: {_sort(str(error), path)}"
            seconds = time.process_time() - started + sum(_forked_seconds)
            connection.send(Record(seed, outcome, seconds))


def run_all(bundle: bytes, seeds: range) -> Iterator[Record]:
    """Yield the Record of each seed; a process that ends is replaced by another one."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    remaining = list(seeds)
    while remaining:
        receiver, sender = context.Pipe(duplex=False)
        worker = context.Process(target=_work, args=(sender, bundle, copy.copy(remaining)))
        worker.start()
        sender.close()
        while remaining:
            outcome = "CRASH"
            started = time.perf_counter()
            try:
                if receiver.poll(_DEADLINE_SECONDS):
                    record = receiver.recv()
                    remaining.remove(record.seed)
                    yield record
                    continue
                outcome = "HANG"
            except EOFError:
                worker.join(1)
                outcome = f"CRASH: {worker.exitcode}"
            worker.kill()
            yield Record(remaining.pop(0), outcome, time.perf_counter() - started)
            break
        worker.join()


def is_fault(record: Record) -> bool:
    """Return whether an input did what it must not."""
    is_bad = record.outcome.startswith(("TRACEBACK", "CRASH", "HANG"))
    return is_bad or record.seconds > HANG_SECONDS


def main() -> None:
    """Use mutated bundles, print how often what came of them, and exit with 1 after a fault."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("bundle", nargs="?", type=Path, default=BUNDLE)
    parser.add_argument("--runs", type=int, default=1000, help="how many mutations")
    parser.add_argument("--seed", type=int, default=0, help="of the first one")
    parser.add_argument("--keep", type=Path, help="a folder for what leads to faults")
    arguments = parser.parse_args()
    bundle = arguments.bundle.read_bytes()
    counts: collections.Counter[str] = collections.Counter()
    faults: list[Record] = []
    slowest = 0.0
    for record in run_all(bundle, range(arguments.seed, arguments.seed + arguments.runs)):
        counts[record.outcome] += 1
        slowest = max(slowest, record.seconds)
        if sum(counts.values()) % 1000 == 0:
            print(f"{sum(counts.values())} inputs, {len(faults)} faults", flush=True)
        if is_fault(record):
            faults.append(record)
            print(f"seed {record.seed}: {record.outcome}, {record.seconds:.1f} s", flush=True)
            if arguments.keep:
                data = mutate(random.Random(record.seed), bundle)
                (arguments.keep / f"bundle-{record.seed}.tflite").write_bytes(data)
    for outcome, count in counts.most_common():
        print(f"{count:7} {outcome}")
    print(f"{len(faults)} faults in {arguments.runs} inputs; the slowest took {slowest:.1f} s")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
