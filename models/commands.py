"""The commands `picaption train` and `picaption evaluate`."""

from pathlib import Path

import click

from picaption.device.cli import PathType
from picaption.device.log import configure_progress, say

from .options import (
    FILE,
    FOLDER,
    SELECTION,
    TRAINING,
    DataSelection,
    check_selection,
    data_options,
    read_selection,
)


@click.command("train")
@click.argument("recipe", required=False, type=FILE)
@click.option(
    "--data", type=FOLDER, help="Folder that the recipe's paths are relative to.  [default: .]"
)
@click.option(
    "--out",
    default="run",
    show_default=True,
    type=FOLDER,
    help="Folder for the run. If it holds an interrupted run of the recipe, that run continues.",
)
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="NAME=VALUE",
    help="Override a setting of the recipe.",
)
@click.option(
    "--classes",
    type=FOLDER,
    help="Instead of a recipe: fit a classifier to this folder of class folders.",
)
@click.option(
    "--classes-dev",
    type=FOLDER,
    help="Class folders to test and calibrate it on.  [default: a fifth of the pictures in turn]",
)
@click.option(
    "--bundle",
    type=FILE,
    help="Bundle whose encoder and captioner --classes keeps.  [default: the shipped one]",
)
@click.option("--threads", type=click.IntRange(1), help="Threads of that bundle's runtime.")
def train_command(
    recipe: Path | None,
    data: Path | None,
    out: Path,
    overrides: tuple[str, ...],
    classes: Path | None,
    classes_dev: Path | None,
    bundle: Path | None,
    threads: int | None,
) -> None:
    """Train a captioner and classifier.

    RECIPE is a TOML file; models/settings.py lists every setting of one. Call the command again
    after an interruption, and the run continues where it stopped; picaption convert makes a bundle
    of its folder.

    With --classes, a bundle keeps its encoder and captioner and gets a classifier for classes of
    your own: a folder of pictures for each, three or more. In --out are then report.json,
    confusion.png and mistakes.html too.
    """
    from picaption.device.errors import PicaptionError

    configure_progress()
    if classes:
        if recipe or overrides or data:
            raise PicaptionError(
                "a recipe, --set and --data do not go with --classes: give one or the other"
            )
        _train_classes(classes, classes_dev, bundle, out, threads)
        return
    if classes_dev or bundle or threads:
        raise PicaptionError("--classes-dev, --bundle and --threads go with --classes")
    from .backend import load_keras
    from .settings import read_settings

    settings = read_settings(recipe, overrides)
    load_keras()
    from .training.train import train

    train(settings, data or Path("."), out)


def _train_classes(
    classes: Path, classes_dev: Path | None, bundle: Path | None, out: Path, threads: int | None
) -> None:
    """Fit a classifier to class folders and print how good it is."""
    from picaption.device.bundle.bundle import default_bundle

    from .backend import load_keras

    load_keras()
    from .evaluation.class_report import report_lines
    from .training.class_folders import train_classes

    report = train_classes(classes, bundle or default_bundle(), out, classes_dev, threads)
    say(*report_lines(report))
    say(
        f"{out}: see mistakes.html there; make a bundle of it with: "
        f"picaption convert {out} --output mine.tflite"
    )


@click.command("evaluate")
@click.argument("model", type=PathType())
@data_options(*SELECTION, "names", *TRAINING)
@click.option(
    "--beam",
    type=click.IntRange(1, 64),
    help="Hypotheses of the beam search.  [default: the bundle's]",
)
@click.option(
    "--prior",
    type=FILE,
    help="ARPA file of n-grams that weigh the captioner's words.",
)
@click.option(
    "--prior-weight",
    default=0.2,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="Weight of --prior.",
)
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(("classes", "tags", "names", "naming")),
    help="Ignore classes, tags or names while captioning, or use no names and classes as "
    "captions. Repeat it for more.",
)
@click.option("--threads", type=click.IntRange(1), help="Threads of the runtime.")
@click.option(
    "--json",
    "json_file",
    type=PathType(dir_okay=False, allow_dash=True),
    help="Write the figures as JSON to this file (-: standard output).",
)
@click.option(
    "--record", metavar="NAME", help="Also store the figures in the bundle, as measured on NAME."
)
@click.option(
    "--predictions",
    "predictions_file",
    type=FILE,
    help="Write the caption, tags and classes of each picture to this file, one JSON line each.",
)
@click.option(
    "--gallery",
    type=FILE,
    help="Write an HTML page to this file: the best, the worst and random pictures.",
)
@click.option(
    "--reliability",
    type=FILE,
    help="Plot the calibration of the captions' confidence to this file; needs --captions and "
    "--labels.",
)
@click.option(
    "--draw",
    type=click.IntRange(1),
    help="Show this many random pictures in the gallery instead, numbered.",
)
@click.option("--seed", type=int, default=1, show_default=True, help="Seed of --draw.")
def evaluate_command(
    model: str,
    data: DataSelection,
    beam: int | None,
    prior: Path | None,
    prior_weight: float,
    without: tuple[str, ...],
    threads: int | None,
    json_file: str | None,
    record: str | None,
    predictions_file: Path | None,
    gallery: Path | None,
    reliability: Path | None,
    draw: int | None,
    seed: int,
) -> None:
    """Measure the quality of MODEL.

    MODEL is a bundle or the folder of a training run. Give the data by one of --captions,
    --labels, --folders and --names; or by --captions and --labels, to see besides how many
    captions name an object that their picture shows, and how many one that it does not: CHAIRs and
    CHAIRi, with the recall of objects beside them, and whether the captions' confidence tells the
    two apart.
    """
    import dataclasses
    import json
    import os

    from picaption.device.atomic import require_no_device, require_other_files, write_text
    from picaption.device.errors import PicaptionError

    from .files import need_folder

    require_other_files(
        {
            "--json": json_file,
            "--predictions": predictions_file,
            "--gallery": gallery,
            "--reliability": reliability,
        },
        {"MODEL": model, **vars(data)},
    )
    require_no_device(None if json_file == "-" else json_file, predictions_file, gallery)
    require_no_device(reliability)
    check_selection(data, with_gallery=bool(gallery))
    if draw and not gallery:
        raise PicaptionError("--draw chooses the pictures of a gallery: give --gallery")
    if record and without:
        raise PicaptionError("--record stores a bundle's own figures: give it without --without")
    if record and Path(model).is_dir():
        raise PicaptionError("--record stores figures in a bundle; this is a folder")
    if reliability and not (data.captions and data.labels):
        raise PicaptionError("--reliability takes --captions and --labels")
    for path in (json_file, predictions_file, gallery, reliability):
        if path:
            need_folder(path)
    from .data import readers
    from .evaluation import evaluate

    mapping = readers.read_mapping(data.mapping) if data.mapping else None
    recognizer = evaluate.load_recognizer(model, threads, prior, prior_weight)
    if without:
        recognizer = evaluate.without_listening(recognizer, without)
    if not data.names:
        dataset, training = read_selection(data)
    else:
        assert data.images is not None
        dataset = evaluate.read_named_photographs(recognizer, data.names, data.images, data.limit)
        training = None
    if beam:
        recognizer.beam = dataclasses.replace(recognizer.beam, width=beam)
    if data.names:
        evaluation = evaluate.evaluate_names(recognizer, dataset)
    elif data.captions:
        evaluation = evaluate.evaluate_captions(recognizer, dataset, training)
    else:
        evaluation = evaluate.evaluate_classes(recognizer, dataset, mapping)
    figures = {"model": model, "beam": recognizer.beam.width, **evaluation.figures}
    for line in figures["skipped"]:
        say(f"left out {line}", err=True)
    if json_file != "-":
        say(*evaluate.figure_lines(figures))
    if json_file:
        text = json.dumps(figures, indent=1)
        if json_file == "-":
            say(*text.split("\n"))
        else:
            write_text(json_file, f"{text}\n")
    if record:
        evaluate.record_figures(model, record, figures)
    if predictions_file:
        lines = [json.dumps(prediction) + "\n" for prediction in evaluation.predictions]
        write_text(predictions_file, "".join(lines))
    if reliability:
        if evaluation.rated is None:
            raise PicaptionError(
                f"{model}: its captions have no confidence to draw; leave out --reliability"
            )
        from .evaluation.plots import plot_confidence

        plot_confidence(reliability, evaluation.rated)
    if gallery:
        from .evaluation.gallery import write_drawn_gallery, write_gallery

        title = f"What {os.path.basename(os.path.normpath(model))} says"
        rows = evaluate.figure_rows(figures)
        predictions = evaluation.predictions
        if draw:
            write_drawn_gallery(gallery, title, rows, predictions, dataset.records, draw, seed)
        else:
            write_gallery(gallery, title, rows, predictions, dataset.records)
