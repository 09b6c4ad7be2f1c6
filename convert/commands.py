"""The command `picaption convert`."""

from pathlib import Path

import click

from picaption.device.bundle.metadata import HEAD_TYPES, RESIZE_RULES
from picaption.device.errors import PicaptionError
from picaption.models.backend import load_keras
from picaption.models.commands import FILE, FOLDER
from picaption.models.settings import PIXELS

from . import PRECISIONS, RUNTIMES

REPRESENTATIVE = "give --representative, a folder of pictures like those the device will see"


def _resize_rule(context: click.Context, parameter: click.Parameter, value: str) -> str:
    """Return the rule's present name, with a warning for its old one."""
    if value != "squash":
        return value
    click.echo("picaption: --resize squash is called stretch now; write that", err=True)
    return "stretch"


@click.command("convert")
@click.argument("model", type=click.Path(exists=True))
@click.option(
    "--output", "-o", default="picaption.tflite", show_default=True, help="Bundle to write."
)
@click.option(
    "--representative",
    type=click.Path(),
    help="Folder of pictures like those the device will see, or a captions file of pictures in --images; the ranges of "
    "activations come from them. A run of class folders needs none, as it stands on a bundle, nor does a .tflite file.",
)
@click.option(
    "--count",
    default=200,
    show_default=True,
    type=click.IntRange(8),
    help="Pictures to take of it.",
)
@click.option(
    "--seed",
    default=1,
    show_default=True,
    type=click.IntRange(0),
    help="Which of its pictures are drawn.",
)
@click.option(
    "--precision",
    default="int8",
    show_default=True,
    type=click.Choice(PRECISIONS),
    help="int16: activations of 16 bits, weights of 8; dynamic: quantize weights alone; float16: store them in 16 bits; "
    "float32: nothing.",
)
@click.option(
    "--per-tensor", is_flag=True, help="Weights have one scale a tensor, instead of one a channel."
)
@click.option(
    "--runtime",
    default=RUNTIMES[0],
    show_default=True,
    type=click.Choice(RUNTIMES),
    help="What the bundle is to run on.",
)
@click.option(
    "--max-loss",
    type=click.FloatRange(0, 100),
    metavar="POINTS",
    help="What the bundle may lose on --captions, --labels or --folders, or, without, how many per cent of held-out pictures "
    "it may tell another class of; beyond, its weights are trained to their quantization, and the better is kept.",
)
@click.option(
    "--report",
    type=click.Path(),
    metavar="PATH",
    help="Write what the conversion did to a folder, or to a file that ends in .html and one in .json beside it.",
)
@click.option(
    "--captions",
    type=FILE,
    help="For --report and --max-loss: captions to measure float model and bundle by.",
)
@click.option(
    "--labels",
    type=FILE,
    help="For --report and --max-loss: a multi-label list to measure them by.",
)
@click.option(
    "--folders", type=FOLDER, help="For --report and --max-loss: class folders to measure them by."
)
@click.option(
    "--images",
    type=FOLDER,
    help="Folder of the pictures that --captions, --labels or --representative name.",
)
@click.option(
    "--split",
    type=FILE,
    help="Of --captions and --labels only the pictures listed in this file, one a line.",
)
@click.option("--classes", type=FILE, help="The class names of --labels, one a line.")
@click.option("--limit", type=click.IntRange(1), help="Measure on the first pictures only.")
@click.option(
    "--mapping",
    type=FILE,
    help="Which labels of others' classifier each of --folders is: folder, tab, label.",
)
@click.option("--names", type=FILE, help="Others' classifiers: the class names, one a line.")
@click.option(
    "--pixels", type=click.Choice(PIXELS), help="The range of pixels that it was trained with."
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
    help="What it gives logits of.  [default: single-label]",
)
def convert_command(
    model,
    output,
    representative,
    names,
    pixels,
    size,
    resize,
    head,
    report,
    mapping,
    count,
    seed,
    precision,
    per_tensor,
    runtime,
    max_loss,
    **data,
):
    """Make a checked bundle of MODEL.

    MODEL is the folder that picaption train left, which is quantized; float model and bundle are compared on pictures held
    out of the representative ones, and beyond a stated bound, nothing is written and the exit code is 2. Or it is a classifier
    of others': a Keras model (.keras, .h5, or the folder of a SavedModel), treated alike, or a .tflite file, whose weights stay
    as they are.
    """
    keras = Path(model, "saved_model.pb").exists() or Path(model).suffix in (".keras", ".h5")
    if names:
        from picaption.models.data.readers import read_names

        names = read_names(names)
    if Path(model).is_file() and not keras:
        if (
            report
            or per_tensor
            or mapping
            or max_loss is not None
            or runtime != RUNTIMES[0]
            or any(data.values())
        ):
            raise PicaptionError(
                "--report, what it measures, --max-loss, --per-tensor and --runtime are about what is quantized; this "
                "is a .tflite file already"
            )
        convert_file(model, output, names, pixels, resize, head)
        return
    if not keras:
        if names or pixels or head or size or mapping:
            raise PicaptionError(
                "--names, --pixels, --size, --head and --mapping are about others' classifiers; this is a training "
                "run"
            )
        load_keras()
        from picaption.models.evaluation.class_folders import BASE

        if Path(model, BASE).exists():
            convert_classes(model, output, report)
            return
    if not representative:
        raise PicaptionError(REPRESENTATIVE)
    if keras and data["captions"]:
        raise PicaptionError(
            "--captions measure captions, and this is a classifier: give --folders or --labels"
        )
    if mapping and not data["folders"]:
        raise PicaptionError("--mapping goes with --folders")
    options = {
        "count": count,
        "seed": seed,
        "precision": precision,
        "per_tensor": per_tensor,
        "runtime": runtime,
        "images": data["images"],
        "dataset": read_measured(report or max_loss is not None, **data),
        "max_loss": max_loss,
    }
    from picaption.models.files import need_folder

    from .interrupts import ended_by_signals

    if report:
        from .report.figures import table, write_report

        need_folder(report)
        options["report"] = lambda figures: click.echo(
            "\n".join([*table(figures), "", f"see {write_report(report, figures)}"])
        )
    with ended_by_signals():
        if keras:
            load_keras()
            from .import_keras import convert_keras

            if mapping:
                from picaption.models.data.readers import read_mapping

                mapping = read_mapping(mapping)
            same, difference = convert_keras(
                model,
                output,
                names,
                pixels,
                representative,
                resize_rule=resize,
                head=head,
                size=size,
                mapping=mapping,
                **options,
            )
            said = (
                f"{megabytes(output)}; on other pictures float and bundle say the same first for {same:.0%}, their "
                f"probabilities differ by {difference:.4f}"
            )
        else:
            from .convert import convert

            agreement = convert(model, output, representative, **options)
            said = (
                f"float and bundle differ by {agreement.features:.4f} in features (1 - cosine), {agreement.words:.4f} nats a "
                f"word, {agreement.classes:.4f} in class scores; {agreement.caption:.0%} of captions are the very same"
            )
    click.echo(f"{output}: {said}")
    if max_loss is not None:
        click.echo(f"{output}: {tuning_of(output, max_loss)}")


def convert_file(model, output, names, pixels, resize, head):
    """Make a bundle of a .tflite file, and tell of it."""
    from picaption.device.bundle.bundle import write_checked

    from .import_tflite import wrap

    contents = wrap(model, names, pixels, resize, head)
    write_checked(output, contents)
    click.echo(
        f"{output}: {megabytes(output)}, {len(contents.labels)} classes, {contents.metadata.head}"
    )


def convert_classes(run, output, report):
    """Make a bundle of a run of class folders, and tell of it."""
    from picaption.models.evaluation.class_folders import convert_classes

    if report:
        raise PicaptionError(
            f"{run} stands on a bundle that was converted before: there is nothing to report; leave out --report"
        )
    convert_classes(run, output)
    click.echo(f"{output}: {megabytes(output)}, written")


def tuning_of(path, bound):
    """Return what tuning brought the bundle at `path`, which may lose `bound` points, as text."""
    from picaption.device.bundle.bundle import read_bundle

    tuned = read_bundle(path).metadata.provenance.get("tuned")
    if not tuned:
        return f"it loses no more than {bound:g} points, and is not tuned"
    change = f"tuned, it loses {tuned['lost_tuned']:g} points, untuned {tuned['lost']:g}"
    return change + (
        ", and stays untuned"
        if tuned["lost_tuned"] >= tuned["lost"]
        else f", still more than {bound:g}: give more pictures with --count"
        if tuned["lost_tuned"] > bound
        else ""
    )


def megabytes(path):
    """Return how large a file is, as text."""
    return f"{Path(path).stat().st_size / 1e6:.2f} MB"


def read_measured(wanted, **data):
    """Return the Dataset that float model and bundle are to be measured on, or None where these options ask for none."""
    if not any(data[name] for name in ("captions", "labels", "folders")):
        if data["split"] or data["classes"] or data["limit"]:
            raise PicaptionError(
                "--split, --classes and --limit go with --captions, --labels or --folders"
            )
        return None
    if not wanted:
        raise PicaptionError(
            "--captions, --labels and --folders are measured for a report: give --report or --max-loss, or use "
            "picaption evaluate"
        )
    from picaption.models.commands import need_data, read_data

    training = dict.fromkeys(("training", "training_split", "training_images"))
    need_data(gallery=None, **data, **training)
    return read_data(**data, **training)[0]
