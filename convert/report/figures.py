"""What a conversion did: how large its parts are, how far it is from the float model, layer by layer, and what it costs."""

import hashlib
import json
import time
import zipfile
from collections import Counter
from dataclasses import asdict, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np

from picaption.device.bundle.runtime import make_interpreter, runtime_name
from picaption.device.errors import PicaptionError
from picaption.device.recognition.recognizer import Recognizer
from picaption.models.evaluation.evaluate import evaluate_captions, evaluate_classes
from picaption.models.files import write_text

from ..tflite.operators import read_operators, constant_bytes
from .diagnostics import told
from .layer_snr import CASTS, compare_layers
from .page import quality, summary, work, worst, write_report_page

#: What a bundle's signatures are parts of.
PARTS = {"encode": "encoder", "next_word": "captioner", "classify": "classifier"}
#: Seconds at most that each signature is timed for, and how often at most.
SECONDS, ROUNDS = 1.0, 200
#: The scores by which a bundle is held against what it may lose.
LOST = ("CIDEr", "mAP", "top_1")
#: Layers that the terminal is told of.
SHOWN = 5


def figures_of(model, bundle, graphs, examples, measured=None, mapping=None):
    """Return the figures of a conversion from a KerasModel, or a Bundle in float32, to a Bundle, a dict of plain values.

    graphs: the float32 graph and the quantized one from picaption.convert.tflite.export.convert_with_layer_names, and both as they stand in a bundle.
    examples: inputs of the signatures for pictures that were not calibrated on; measured: what `without` gives, to measure
    both models on, with a mapping as picaption.models.evaluation.evaluate.evaluate_classes takes it. `bytes` holds every part of the file,
    `layers` signal to noise in decibels, `operators` those of each signature by kind, with how many of them XNNPACK runs here;
    `latency` alone differs from one time to the next.
    """
    exact, named, whole, graph = graphs
    found = read_operators(graph, named)
    figures = {
        "format": 1,
        "name": bundle.metadata.name,
        "sha256": hashlib.sha256(bundle.path.read_bytes()).hexdigest(),
        "versions": {name: version(name) for name in ("tensorflow", "keras", "ai-edge-litert")},
        "bytes": part_sizes(bundle.path, whole, graph),
        "layers": [asdict(layer) for layer in compare_layers(exact, named, examples)],
        "operators": {name: count(each) for name, each in found.items()},
        "elsewhere": [
            {"signature": name, "layer": each.layer, "kind": each.opcode, "multiply_adds": each.multiply_adds}
            for name, each_of in found.items()
            for each in each_of
            if not each.xnnpack
        ],
        "floating": [
            {"signature": name, "layer": each.layer, "kind": each.opcode}
            for name in ("encode", "next_word")
            for each in found.get(name, ())
            if each.dtype == "FLOAT32" and each.opcode not in CASTS
        ],
        "multiply_adds": {
            name: sum(each.multiply_adds for each in each_of) for name, each_of in found.items()
        },
    }
    if measured:
        dataset, left_out = measured
        figures["evaluation"] = {
            name: evaluation(Recognizer(each), dataset, mapping)
            for name, each in (("float32", model), ("bundle", bundle))
        } | {"left_out": left_out}
    return figures | {"latency": latency({"float32": whole, "bundle": graph})}


def count(found):
    """Return {kind: {"all": how many of the Operators are of it, "xnnpack": how many of them XNNPACK runs}}, the most first."""
    kinds, taken = (
        Counter(each.opcode for each in found),
        Counter(each.opcode for each in found if each.xnnpack),
    )
    return {kind: {"all": number, "xnnpack": taken[kind]} for kind, number in kinds.most_common()}


def part_sizes(path, whole, graph):
    """Return {part: {"float32": bytes, "bundle": bytes}} of the bundle at `path`, whose graph is `graph`; whole: the same in
    float32. The bundle's add up to the file."""
    exact, stored = (
        {PARTS.get(name, name): size for name, size in constant_bytes(each).items()}
        for each in (whole, graph)
    )
    with zipfile.ZipFile(path) as archive:
        members = {
            info.filename.partition(".")[0]: info.compress_size for info in archive.infolist()
        }
    del members["sha256"]  # Of the archive itself, as its directory is.
    members["archive"] = path.stat().st_size - len(graph) - sum(members.values())
    return {
        name: {"float32": (exact | members)[name], "bundle": size}
        for name, size in (stored | members).items()
    }


def evaluation(recognizer, dataset, mapping=None):
    """Return what picaption.models.evaluation.evaluate measures of captions and of classes, as far as model and `dataset` have both."""
    figures = {}
    if recognizer.model.vocabulary and any(record.captions for record in dataset.records):
        figures |= evaluate_captions(recognizer, dataset)
    if dataset.classes:
        figures |= evaluate_classes(recognizer, dataset, None, mapping)
    return {
        name: value
        for name, value in figures.items()
        if name not in ("milliseconds", "tokenizer", "classes")
    }


def loss_measure(model, measured, mapping=None):
    """Return a function that gives the points that a Bundle loses on the float `model`, measured as for figures_of: of the first of
    LOST that there is."""
    dataset, _ = measured
    before = evaluation(Recognizer(model), dataset, mapping)
    name = next(name for name in LOST if name in before)
    return lambda bundle: before[name] - evaluation(Recognizer(bundle), dataset, mapping)[name]


def without(dataset, paths):
    """Return (the Dataset without the pictures at `paths`, how many these were); raises PicaptionError if none is left."""
    known = {Path(path).resolve() for path in paths}
    kept = tuple(record for record in dataset.records if record.path.resolve() not in known)
    if not kept:
        raise PicaptionError(
            "the pictures to measure on are those that give the ranges: name others with --split, or give "
            "others with --representative"
        )
    return replace(dataset, records=kept), len(dataset.records) - len(kept)


def latency(graphs):
    """Return what each signature of `graphs`, {name: flatbuffer}, takes on one thread here: the runtime, and milliseconds
    by signature and name. They take turns, and the first tenth warms up."""
    runners = {}
    for name, graph in graphs.items():
        interpreter = make_interpreter(graph, threads=1)
        for signature in interpreter.get_signature_list():
            runners.setdefault(signature, {})[name] = interpreter.get_signature_runner(signature)
    return {
        "runtime": runtime_name(),
        "threads": 1,
        "milliseconds": {signature: time_turns(each) for signature, each in runners.items()},
    }


def time_turns(runners):
    """Return {name: {"median": milliseconds, "p90": milliseconds}} of signature runners that take turns."""
    inputs = {
        name: {
            key: np.ones(each["shape"], each["dtype"])
            for key, each in runner.get_input_details().items()
        }
        for name, runner in runners.items()
    }
    spent, start = [], time.perf_counter()
    while (
        len(spent) < 10
        or len(spent) < ROUNDS
        and time.perf_counter() - start < SECONDS * len(runners)
    ):
        spent.append([])
        for name, runner in runners.items():
            began = time.perf_counter()
            runner(**inputs[name])
            spent[-1].append((time.perf_counter() - began) * 1e3)
    columns = np.percentile(spent[len(spent) // 10 :], (50, 90), axis=0).T.round(3).tolist()
    return {name: dict(zip(("median", "p90"), column)) for name, column in zip(runners, columns)}


def write_report(path, figures):
    """Write `figures` to report.html and report.json in the folder `path`, or to a file that ends in .html and one in .json
    beside it; returns the page's path."""
    path = Path(path)
    if path.suffix != ".html":
        path.mkdir(exist_ok=True)
        path /= "report.html"
    write_text(path.with_suffix(".json"), json.dumps(figures, indent=1) + "\n")
    write_report_page(path, figures)
    return path


def table(figures):
    """Return `figures` as lines of text for people."""
    lines = [f"{name:28} {value}" for name, value in summary(figures)]
    lines += ["", f"{'bytes':28} {'float32':>12} {'bundle':>12}"]
    lines += [
        f"{name:28} {part['float32']:12,} {part['bundle']:12,}"
        for name, part in figures["bytes"].items()
    ]
    if "evaluation" in figures:
        lines += ["", f"{'quality':28} {'float32':>12} {'bundle':>12}"]
        lines += [f"{name:28} {before:>12} {after:>12}" for name, before, after in quality(figures)]
    lines += [
        "",
        f"{'signature':12} {'operators':>10} {'XNNPACK':>8} {'million MACs':>13} {'float32 ms':>11} {'bundle ms':>10} {'p90':>8}",
    ]
    lines += ["{:12} {:>10} {:>8} {:>13} {:>11} {:>10} {:>8}".format(*row) for row in work(figures)]
    if figures["layers"]:
        lines += ["", f"{'worst layers':44} {'decibels':>9} {'lost':>9}"]
        lines += [
            f"{told(layer):44} {layer['decibels']:9} {layer['lost']:9}"
            for layer in worst(figures["layers"])[:SHOWN]
        ]
    return lines + [
        line
        for each in figures["advice"]
        for line in ("", f"! {each['symptom']}", f"  {each['fix']}")
    ]
