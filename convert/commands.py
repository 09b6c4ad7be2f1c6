"""The command `picaption convert`."""

from pathlib import Path

import click

from convert import PRECISIONS, RUNTIMES
from device.errors import PicaptionError
from device.metadata import HEADS, RULES
from models.commands import FILE, FOLDER
from models.settings import PIXELS

REPRESENTATIVE = "give --representative, a folder of pictures like those the device will see"


@click.command()
@click.argument("model", type=click.Path(exists=True))
@click.option("--output", "-o", default="picaption.tflite", show_default=True, help="Bundle to write.")
@click.option("--representative", type=click.Path(),
              help="Folder of pictures like those the device will see, or a captions file of pictures in --images; the ranges of "
                   "activations come from them. A run of class folders needs none, as it stands on a bundle, nor does a .tflite file.")
@click.option("--count", default=200, show_default=True, type=click.IntRange(8), help="Pictures to take of it.")
@click.option("--seed", default=1, show_default=True, type=click.IntRange(0), help="Which of its pictures are drawn.")
@click.option("--precision", default="int8", show_default=True, type=click.Choice(PRECISIONS),
              help="int16: activations of 16 bits, weights of 8; dynamic: quantize weights alone; float16: store them in 16 bits; "
                   "float32: nothing.")
@click.option("--per-tensor", is_flag=True, help="Weights have one scale a tensor, instead of one a channel.")
@click.option("--runtime", default=RUNTIMES[0], show_default=True, type=click.Choice(RUNTIMES),
              help="What the bundle is to run on.")
@click.option("--report", type=click.Path(), metavar="PATH",
              help="Write what the conversion did to a folder, or to a file that ends in .html and one in .json beside it.")
@click.option("--captions", type=FILE, help="For --report: captions to measure float model and bundle by.")
@click.option("--labels", type=FILE, help="For --report: a multi-label list to measure them by.")
@click.option("--folders", type=FOLDER, help="For --report: class folders to measure them by.")
@click.option("--images", type=FOLDER, help="Folder of the pictures that --captions, --labels or --representative name.")
@click.option("--split", type=FILE, help="Of --captions and --labels only the pictures listed in this file, one a line.")
@click.option("--classes", type=FILE, help="The class names of --labels, one a line.")
@click.option("--limit", type=click.IntRange(1), help="Measure on the first pictures only.")
@click.option("--names", type=click.Path(dir_okay=False), help="Others' classifiers: the class names, one a line.")
@click.option("--pixels", type=click.Choice(PIXELS), help="The range of pixels that it was trained with.")
@click.option("--size", type=click.IntRange(8, 4096), help="The side of its pictures, where it takes any.")
@click.option("--resize", default="squash", show_default=True, type=click.Choice(RULES),
              help="How pictures are brought to its size.")
@click.option("--head", type=click.Choice(HEADS), help="What it gives logits of.  [default: single-label]")
def convert(model, output, representative, count, seed, precision, per_tensor, runtime, report, names, pixels, size, resize, head,
            **data):
    """Make a checked bundle of MODEL.

    MODEL is the folder that picaption train left, which is quantized; float model and bundle are compared on pictures held
    out of the representative ones, and beyond a stated bound, nothing is written and the exit code is 2. Or it is a classifier
    of others': a Keras model (.keras, .h5, or the folder of a SavedModel), treated alike, or a .tflite file, whose weights stay
    as they are.
    """
    if names:
        from models.readers import read_names
        names = read_names(names)
    foreign = Path(model).is_file() or Path(model, "saved_model.pb").exists()
    if foreign and (report or per_tensor or runtime != RUNTIMES[0] or any(data.values())):
        raise PicaptionError("--report, what it measures, --per-tensor and --runtime are about training runs; this is another's classifier")
    if Path(model, "saved_model.pb").exists() or Path(model).suffix in (".keras", ".h5"):
        if not representative:
            raise PicaptionError(REPRESENTATIVE)
        from convert.foreign import convert_foreign
        same, difference = convert_foreign(model, output, names, pixels, representative, count, seed, precision, resize, head, size)
        click.echo(f"{output}: {Path(output).stat().st_size / 1e6:.2f} MB; on other pictures float and bundle say the same first "
                   f"for {same:.0%}, their probabilities differ by {difference:.4f}")
        return
    if Path(model).is_file():
        from convert.wrap import wrap
        from device.bundle import write_checked
        contents = wrap(model, names, pixels, resize, head)
        write_checked(output, contents)
        click.echo(f"{output}: {Path(output).stat().st_size / 1e6:.2f} MB, {len(contents.labels)} classes, {contents.metadata.head}")
        return
    if names or pixels or head or size:
        raise PicaptionError("--names, --pixels, --size and --head are about others' classifiers; this is a training run")
    from models.classes import BASE, convert_classes
    if Path(model, BASE).exists():
        if report:
            raise PicaptionError(f"{model} stands on a bundle that was converted before: there is nothing to report; leave out --report")
        convert_classes(model, output)
        click.echo(f"{output}: {Path(output).stat().st_size / 1e6:.2f} MB, written")
        return
    if not representative:
        raise PicaptionError(REPRESENTATIVE)
    dataset = read_measured(report, **data)
    from convert.convert import convert
    from convert.interrupts import ended_by_signals
    from convert.report import table, write_report
    from models.files import need_folder

    def tell(figures):
        click.echo("\n".join([*table(figures), "", f"see {write_report(report, figures)}"]))
    if report:
        need_folder(report)
    with ended_by_signals():
        agreement = convert(model, output, representative, count, seed=seed, precision=precision, per_tensor=per_tensor,
                            runtime=runtime, images=data["images"], report=tell if report else None, dataset=dataset)
    click.echo(f"{output}: float and bundle differ by {agreement.features:.4f} in features (1 - cosine), "
               f"{agreement.words:.4f} nats a word, {agreement.classes:.4f} in class scores; "
               f"{agreement.caption:.0%} of captions are the very same")


def read_measured(report, **data):
    """Return the Dataset that float model and bundle are to be measured on, or None where these options ask for none."""
    if not any(data[name] for name in ("captions", "labels", "folders")):
        if data["split"] or data["classes"] or data["limit"]:
            raise PicaptionError("--split, --classes and --limit go with --captions, --labels or --folders")
        return None
    if not report:
        raise PicaptionError("--captions, --labels and --folders are measured for a report: give --report, or use picaption evaluate")
    from models.commands import need_data, read_data
    training = dict.fromkeys(("training", "training_split", "training_images"))
    need_data(gallery=None, **data, **training)
    return read_data(**data, **training)[0]
