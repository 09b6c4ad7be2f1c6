"""The command `picaption convert`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from picaption.device.atomic import require_other_files
from picaption.device.bundle.archive import require_bundle_or_none
from picaption.device.bundle.metadata import HEAD_TYPES, RESIZE_RULES
from picaption.device.cli import PathType
from picaption.device.errors import PicaptionError
from picaption.device.log import say
from picaption.models.backend import load_keras
from picaption.models.networks.file_format import network_suffix
from picaption.models.options import (
    FILE,
    SELECTION,
    DataSelection,
    check_mapping,
    check_selection,
    data_options,
    read_selection,
)
from picaption.models.pixels import PIXELS_HELP, parse_pixels

from . import PRECISIONS, RUNTIMES
from .options import BOUNDS, EXACT_DIFFERENCE, Agreement, ConversionOptions, ImportOptions

if TYPE_CHECKING:
    from picaption.models.data.readers import Dataset

    from .report.figures import Report

PATH = PathType(path_type=Path)
#: The layers in floating point that the command's last line names.
NAMED_LAYERS = 6


def _resize_rule(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Return the rule's present name, with a warning for its old one."""
    if value != "squash":
        return value
    say("picaption: --resize squash is called stretch now; write that", err=True)
    return "stretch"


def _check_pixels(
    context: click.Context, parameter: click.Parameter, value: str | None
) -> str | None:
    """Return --pixels, if it names a range."""
    if value is not None:
        parse_pixels(value)
    return value


@click.command("convert")
@click.argument("model", type=PathType(exists=True, path_type=Path))
@click.option(
    "--output",
    "-o",
    default="picaption.tflite",
    show_default=True,
    type=PATH,
    help="Bundle to write.",
)
@click.option(
    "--representative",
    type=PATH,
    help="Folder of pictures like those the device will see, or a captions file of pictures in "
    "--images; the ranges of activations come from them. A run of class folders needs none, as it "
    "stands on a bundle, nor does a .tflite file.",
)
@click.option(
    "--count",
    default=200,
    show_default=True,
    type=click.IntRange(8),
    help="Number of pictures to use from --representative.",
)
@click.option(
    "--seed",
    default=1,
    show_default=True,
    type=click.IntRange(0),
    help="Seed that chooses these pictures.",
)
@click.option(
    "--precision",
    default="int8",
    show_default=True,
    type=click.Choice(PRECISIONS),
    help="int16: activations of 16 bits, weights of 8; dynamic: quantize weights alone; float16: "
    "store them in 16 bits; float32: nothing.",
)
@click.option(
    "--per-tensor",
    is_flag=True,
    help="Use one scale per weight tensor, instead of one per channel.",
)
@click.option(
    "--runtime",
    default=RUNTIMES[0],
    show_default=True,
    type=click.Choice(RUNTIMES),
    help="Runtime that the bundle is for.",
)
@click.option(
    "--max-loss",
    type=click.FloatRange(0, 100),
    metavar="POINTS",
    help="What the bundle may lose on --captions, --labels or --folders, or, without, how many "
    "per cent of held-out pictures may get another class; beyond, its weights are trained to "
    "their quantization, and the better bundle is written.",
)
@click.option(
    "--mixed",
    is_flag=True,
    help="Keep as few layers in floating point as --max-loss (1 by default) needs; train no "
    "weights.",
)
@click.option(
    "--report",
    type=PATH,
    metavar="PATH",
    help="Write what the conversion did to a folder, or to a file that ends in .html and two in "
    ".json beside it, one of them for Model Explorer.",
)
@data_options(
    *SELECTION,
    captions="For --report, --max-loss and --mixed: captions to measure float model and bundle by.",
    labels="For --report, --max-loss and --mixed: a multi-label list to measure them by.",
    folders="For --report, --max-loss and --mixed: class folders to measure them by.",
    images="Folder of the pictures that --captions, --labels or --representative name.",
    split="Of --captions and --labels only the pictures listed in this file, one a line.",
    limit="Measure on the first pictures only.",
    mapping="Which labels of a classifier from elsewhere each of --folders is: folder, tab, label.",
)
@click.option("--names", type=FILE, help="Classifiers from elsewhere: the class names, one a line.")
@click.option(
    "--pixels",
    callback=_check_pixels,
    metavar="RANGE",
    help=f"The range of pixels that it was trained with: {PIXELS_HELP}, of pixels 0..1, or, with "
    "numbers above 1, of 0..255; with bgr behind it where it takes blue first.  [default: as the "
    "file says]",
)
@click.option(
    "--size", type=click.IntRange(8, 4096), help="The side of its pictures, where it takes any."
)
@click.option(
    "--resize",
    default="stretch",
    show_default=True,
    type=click.Choice((*RESIZE_RULES, "squash")),
    metavar=f"[{'|'.join(RESIZE_RULES)}]",
    callback=_resize_rule,
    help="How pictures are brought to its size.",
)
@click.option(
    "--head",
    type=click.Choice(HEAD_TYPES),
    help="What its logits are of.  [default: single-label]",
)
@click.option("--output-name", metavar="NAME", help="Which of several outputs are its scores.")
@click.option(
    "--embedding",
    is_flag=True,
    help="It has no classes and gives features: make a bundle for picaption teach.",
)
@click.option(
    "--allow-difference",
    type=click.FloatRange(0, 1),
    metavar="DIFFERENCE",
    help="Write the bundle where no probability is further than this from the one that MODEL "
    f"itself computes for a picture.  [default: {EXACT_DIFFERENCE} where nothing is quantized, "
    f"else {BOUNDS.largest}]",
)
def convert_command(
    model: Path,
    output: Path,
    representative: Path | None,
    count: int,
    seed: int,
    precision: str,
    per_tensor: bool,
    runtime: str,
    max_loss: float | None,
    mixed: bool,
    report: Path | None,
    data: DataSelection,
    names: Path | None,
    pixels: str | None,
    size: int | None,
    resize: str,
    head: str | None,
    output_name: str | None,
    embedding: bool,
    allow_difference: float | None,
) -> None:
    """Convert MODEL to a checked bundle.

    MODEL is the folder that picaption train left, which is quantized; float model and bundle are
    compared on pictures held out of the representative ones, and beyond a stated bound, nothing is
    written and the exit code is 2. Or it is a classifier from elsewhere, treated alike: of Keras
    (.keras, .h5, or the folder of a SavedModel), ONNX (.onnx) or PyTorch (.pt2, as torch.export
    writes it); or a .tflite file, whose weights stay as they are.
    """
    require_other_files(
        {"--output": output, "--report": report},
        {"MODEL": model, "--names": names, "--representative": representative, **vars(data)},
    )
    require_bundle_or_none(output)
    exact_difference = EXACT_DIFFERENCE
    bounds = BOUNDS
    if allow_difference is not None:
        exact_difference = max(exact_difference, allow_difference)
        mean_difference = max(BOUNDS.classes, allow_difference)
        bounds = replace(BOUNDS, classes=mean_difference, largest=allow_difference)
    elif precision == "float32":
        bounds = replace(BOUNDS, largest=EXACT_DIFFERENCE)
    classifier = ImportOptions(
        _read_labels(names),
        pixels,
        resize,
        head,
        size,
        output_name,
        embedding,
        exact_difference,
    )
    options = ConversionOptions(
        precision=precision,
        per_tensor=per_tensor,
        runtime=runtime,
        count=count,
        seed=seed,
        max_loss=max_loss,
        mixed=mixed,
        bounds=bounds,
    )
    is_network = network_suffix(model) is not None
    if model.is_file() and not is_network:
        _check_tflite_options(options, report, data, classifier)
        if allow_difference is not None:
            classifier = replace(classifier, allowed_difference=allow_difference)
        _convert_tflite(model, output, classifier, representative)
        return
    if not is_network:
        if data.mapping or classifier != ImportOptions(
            resize=resize, allowed_difference=exact_difference
        ):
            raise PicaptionError(
                "--names, --pixels, --size, --head, --output-name, --embedding and --mapping are "
                "about others' classifiers; this is a training run"
            )
        load_keras()
        from picaption.models.training.class_folders import BASE

        if (model / BASE).exists():
            _convert_class_run(model, output, report)
            return
    if not representative:
        raise PicaptionError(
            "give --representative, a folder of pictures like those the device will see"
        )
    if is_network and data.captions:
        raise PicaptionError(
            "--captions measure captions, and this is a classifier: give --folders or --labels"
        )
    check_mapping(data)
    dataset = _read_measured(data, is_measured=bool(report) or options.needs_loss)
    on_report = _report_writer(report)
    load_keras()
    from .convert import convert
    from .import_network import convert_network
    from .interrupts import ended_by_signals

    with ended_by_signals():
        if is_network:
            agreement = convert_network(
                model,
                output,
                representative,
                classifier,
                options,
                images=data.images,
                dataset=dataset,
                mapping=_read_mapping(data.mapping),
                on_report=on_report,
            )
            summary = _summarize_network(output, agreement, embedding)
        else:
            agreement = convert(
                model,
                output,
                representative,
                options,
                images=data.images,
                dataset=dataset,
                on_report=on_report,
            )
            summary = _summarize_run(agreement)
    say(f"{output}: {summary}")
    if mixed:
        say(f"{output}: {_describe_mixed(output)}")
    elif max_loss is not None:
        say(f"{output}: {_describe_tuning(output, max_loss)}")


def _check_tflite_options(
    options: ConversionOptions,
    report: Path | None,
    data: DataSelection,
    classifier: ImportOptions,
) -> None:
    """Raise PicaptionError where options ask for more of a .tflite file than to wrap it."""
    if classifier.output_name is not None:
        raise PicaptionError("a .tflite file is taken with one output: leave out --output-name")
    quantizes = options.per_tensor or options.runtime != RUNTIMES[0] or options.needs_loss
    if report or quantizes or data != DataSelection():
        raise PicaptionError(
            "--report, what it measures, --max-loss, --mixed, --per-tensor and --runtime are about "
            "what is quantized; this is a .tflite file already"
        )


def _summarize_run(agreement: Agreement) -> str:
    """Return how far a run's bundle is from the run, as text."""
    return (
        f"float and bundle differ by {agreement.features:.4f} in features (1 - cosine), "
        f"{agreement.words:.4f} nats a word, {agreement.classes:.4f} in class scores; "
        f"{agreement.caption:.0%} of captions are the very same"
    )


def _summarize_network(output: Path, agreement: Agreement, is_embedding: bool) -> str:
    """Return how far the bundle of a network from elsewhere is from it, as text."""
    if is_embedding:
        return (
            f"{_megabytes(output)}, features for picaption teach; on other pictures they differ by "
            f"{agreement.features:.4f} (1 - cosine)"
        )
    return (
        f"{_megabytes(output)}; on other pictures float and bundle say the same first for "
        f"{agreement.top:.0%}, their probabilities differ by {agreement.classes:.4f}, at most by "
        f"{agreement.largest:.3f}"
    )


def _convert_tflite(
    model: Path, output: Path, classifier: ImportOptions, representative: Path | None
) -> None:
    """Make a bundle of a .tflite file, and print what it is."""
    from picaption.device.bundle.bundle import write_checked

    from .import_tflite import wrap_compared

    contents, agreement = wrap_compared(model, classifier, representative)
    write_checked(output, contents)
    if not contents.labels:
        say(
            f"{output}: {_megabytes(output)}, features for picaption teach; they differ from the "
            f"file's own by {agreement.largest:.4f} at most (1 - cosine)"
        )
        return
    say(
        f"{output}: {_megabytes(output)}, {len(contents.labels)} classes, "
        f"{contents.metadata.head}; on {agreement.images} pictures file and bundle say the same "
        f"first for {agreement.top:.0%}, their probabilities differ at most by "
        f"{agreement.largest:.4f}"
    )


def _convert_class_run(run: Path, output: Path, report: Path | None) -> None:
    """Make a bundle of a run of class folders, and print what it is."""
    from picaption.models.training.class_folders import convert_classes

    if report:
        raise PicaptionError(
            f"{run} stands on a bundle that was converted before: there is nothing to report; "
            "leave out --report"
        )
    convert_classes(run, output)
    say(f"{output}: {_megabytes(output)}, written")


def _read_labels(names: Path | None) -> tuple[str, ...] | None:
    """Return the class names of --names, if it is given."""
    if names is None:
        return None
    from picaption.models.data.readers import read_names

    return read_names(names)


def _read_mapping(mapping: Path | None) -> dict[str, list[str]] | None:
    """Return what --mapping says, if it is given."""
    if mapping is None:
        return None
    from picaption.models.data.readers import read_mapping

    return read_mapping(mapping)


def _read_measured(data: DataSelection, is_measured: bool) -> Dataset | None:
    """Return what to measure float model and bundle on, or None if no option names any."""
    if not data.has_source:
        if data.split or data.classes or data.limit:
            raise PicaptionError(
                "--split, --classes and --limit go with --captions, --labels or --folders"
            )
        return None
    if not is_measured:
        raise PicaptionError(
            "--captions, --labels and --folders are measured for a report: give --report, "
            "--max-loss or --mixed, or use picaption evaluate"
        )
    check_selection(data)
    return read_selection(data)[0]


def _report_writer(path: Path | None) -> Callable[[Report], None] | None:
    """Return a function that prints a conversion's report and writes it to `path`."""
    if path is None:
        return None
    from picaption.models.files import need_folder

    from .report.page import write_report
    from .report.table import table

    need_folder(path)

    def write(report: Report) -> None:
        page = write_report(path, report)
        say(*table(report), "", f"see {page}")

    return write


def _describe_tuning(path: Path, max_loss: float) -> str:
    """Return what fine-tuning did for the bundle at `path`, which may lose `max_loss` points."""
    from picaption.device.bundle.archive import read_bundle

    outcome = read_bundle(path).metadata.provenance.get("tuned")
    if not outcome:
        return f"it loses no more than {max_loss:g} points, and is not tuned"
    change = f"tuned, it loses {outcome['lost_tuned']:g} points, untuned {outcome['lost']:g}"
    if outcome["lost_tuned"] >= outcome["lost"]:
        return f"{change}, and stays untuned"
    if outcome["lost_tuned"] > max_loss:
        return f"{change}, still more than {max_loss:g}: give more pictures with --count"
    return change


def _describe_mixed(path: Path) -> str:
    """Return what layers in floating point did for the bundle at `path`."""
    from picaption.device.bundle.archive import read_bundle

    outcome = read_bundle(path).metadata.provenance.get("mixed")
    if not outcome:
        return "no layer stays in floating point: it loses little enough without"
    layers = outcome["layers"]
    names = ", ".join(layers[:NAMED_LAYERS])
    if len(layers) > NAMED_LAYERS:
        names += f" and {len(layers) - NAMED_LAYERS} more"
    megabytes = (outcome["bytes"] - outcome["bytes_int8"]) / 1e6
    text = (
        f"{outcome['operators']} of {outcome['all_operators']} operators stay in floating point, "
        f"to keep the output of {names}; that takes {megabytes:.2f} MB more, and it loses "
        f"{outcome['lost_mixed']:g} points, all in 8 bits {outcome['lost']:g}"
    )
    if outcome["lost"] <= outcome["bound"]:
        text += " and its scores would be too far off to be written"
    if outcome["lost_mixed"] > outcome["bound"]:
        text += f": still more than {outcome['bound']:g}; give more pictures with --count"
    return text


def _megabytes(path: Path) -> str:
    """Return how large a file is, as text."""
    return f"{path.stat().st_size / 1e6:.2f} MB"
