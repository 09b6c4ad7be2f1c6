"""The commands `picaption train` and `picaption evaluate`."""

import click

FILE = click.Path(dir_okay=False)
FOLDER = click.Path(file_okay=False)


@click.command("train")
@click.argument("recipe", required=False, type=FILE)
@click.option(
    "--data", type=FOLDER, help="Folder that the recipe's paths start from.  [default: .]"
)
@click.option(
    "--out",
    default="run",
    show_default=True,
    type=FOLDER,
    help="Folder to leave the run in; an interrupted run of a recipe in it goes on.",
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
    help="Class folders to try and calibrate it on.  [default: a fifth in turn]",
)
@click.option(
    "--bundle", type=FILE, help="The bundle that --classes stands on.  [default: the shipped one]"
)
@click.option("--threads", type=click.IntRange(1), help="Threads of its runtime.")
def train_command(recipe, data, out, overrides, classes, classes_dev, bundle, threads):
    """Train captioner and classifier as the TOML file RECIPE says, or a classifier of --classes.

    See models/settings.py for every setting of a recipe. Call it again after an interruption, and the run goes on where
    it stopped; picaption convert makes a bundle of its folder.

    With --classes, a bundle keeps its encoder and captioner and gets a classifier for classes of your own: a folder of
    pictures for each, three or more. In --out are then report.json, confusion.png and mistakes.html too.
    """
    import logging

    from picaption.device.errors import PicaptionError

    from .backend import load_keras

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if not classes:
        if classes_dev or bundle or threads:
            raise PicaptionError("--classes-dev, --bundle and --threads go with --classes")
        from .settings import read_settings

        settings = read_settings(recipe, overrides)
        load_keras()
        from .training.train import train

        train(settings, data or ".", out)
        return
    if recipe or overrides or data:
        raise PicaptionError(
            "a recipe, --set and --data do not go with --classes: give one or the other"
        )
    load_keras()
    from picaption.device.bundle.bundle import default_bundle

    from .evaluation.class_folders import table, train_classes

    click.echo(
        "\n".join(
            table(train_classes(classes, bundle or default_bundle(), out, classes_dev, threads))
        )
    )
    click.echo(
        f"{out}: see mistakes.html there; make a bundle of it with: picaption convert {out} --output mine.tflite"
    )


@click.command("evaluate")
@click.argument("model", type=click.Path())
@click.option(
    "--captions",
    type=FILE,
    help="Captions file: Flickr8k.token.txt, Kaggle's captions.txt or COCO's JSON.",
)
@click.option("--labels", type=FILE, help="Multi-label list: picture, tab, label,label.")
@click.option("--folders", type=FOLDER, help="Class folders: one folder of pictures a class.")
@click.option(
    "--images", type=FOLDER, help="Folder of the pictures that --captions or --labels name."
)
@click.option("--split", type=FILE, help="Only the pictures listed in this file, one a line.")
@click.option("--classes", type=FILE, help="The class names of --labels, one a line.")
@click.option(
    "--mapping", type=FILE, help="Which labels of MODEL each class folder is: folder, tab, label."
)
@click.option(
    "--training",
    type=FILE,
    help="Captions file of the training pictures: tells how many captions are new and what copying scores.",
)
@click.option(
    "--training-split",
    type=FILE,
    help="The training pictures, one a line.  [default: all of --training that are not evaluated]",
)
@click.option(
    "--training-images", type=FOLDER, help="Folder of the training pictures.  [default: --images]"
)
@click.option(
    "--beam",
    type=click.IntRange(1, 64),
    help="Hypotheses of the beam search.  [default: the bundle's]",
)
@click.option(
    "--prior",
    type=FILE,
    help="ARPA file of counted n-grams that the captioner's words are weighed by.",
)
@click.option(
    "--prior-weight",
    default=0.2,
    show_default=True,
    type=click.FloatRange(0, min_open=True),
    help="How much by.",
)
@click.option("--threads", type=click.IntRange(1), help="Threads of the runtime.")
@click.option("--limit", type=click.IntRange(1), help="Only the first pictures.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(dir_okay=False, allow_dash=True),
    help="Write the figures as JSON to this file (-: standard output).",
)
@click.option(
    "--record", metavar="NAME", help="Store the figures in the bundle itself, as measured on NAME."
)
@click.option(
    "--predictions",
    type=FILE,
    help="Write what was said of each picture to this file, a JSON line each.",
)
@click.option(
    "--gallery",
    type=FILE,
    help="Write an HTML page to this file: the best, the worst and random pictures.",
)
def evaluate_command(
    model,
    beam,
    prior,
    prior_weight,
    threads,
    json_file,
    record,
    predictions,
    gallery,
    mapping,
    **data,
):
    """Measure how good MODEL is, a bundle or the folder of a training run.

    Give the data by one of --captions, --labels and --folders; or by --captions and --labels, to see besides
    how many captions name an object that their picture shows.
    """
    import dataclasses
    import json
    import os

    from picaption.device.errors import PicaptionError

    from .files import need_folder, write_text

    need_data(gallery=gallery, **data)
    if mapping and not data["folders"]:
        raise PicaptionError("--mapping goes with --folders")
    if record and os.path.isdir(model):
        raise PicaptionError("--record stores figures in a bundle; this is a folder")
    for path in (json_file, predictions, gallery):
        if path:
            need_folder(path)
    from .data import readers
    from .evaluation import evaluate

    mapping = mapping and readers.read_mapping(mapping)
    dataset, training = read_data(**data)
    recognizer = evaluate.load_recognizer(model, threads, prior, prior_weight)
    if beam:
        recognizer.beam = dataclasses.replace(recognizer.beam, width=beam)
    told = [] if predictions or gallery else None
    if data["captions"]:
        measured = evaluate.evaluate_captions(recognizer, dataset, told, training)
    else:
        measured = evaluate.evaluate_classes(recognizer, dataset, told, mapping)
    figures = {"model": model, "beam": recognizer.beam.width, **measured}
    for line in figures["skipped"]:
        click.echo(f"left out {line}", err=True)
    if json_file != "-":
        click.echo("\n".join(evaluate.table(figures)))
    if json_file:
        text = json.dumps(figures, indent=1) + "\n"
        click.echo(text, nl=False) if json_file == "-" else write_text(json_file, text)
    if record:
        evaluate.record(model, record, figures)
    if predictions:
        write_text(predictions, "".join(json.dumps(each) + "\n" for each in told))
    if gallery:
        from .evaluation.gallery import write_gallery

        title = f"What {os.path.basename(os.path.normpath(model))} says"
        write_gallery(gallery, title, evaluate.rows(figures), told, dataset.records)


def need_data(
    captions,
    labels,
    folders,
    images,
    split,
    classes,
    training,
    training_split,
    training_images,
    gallery,
    limit,
):
    """Raise PicaptionError where these options of `picaption evaluate` do not go together."""
    from picaption.device.errors import PicaptionError

    if bool(folders) == bool(captions or labels):
        raise PicaptionError(
            "give the data by one of --captions, --labels and --folders, or by --captions and "
            "--labels"
        )
    if folders and (images or split or classes):
        raise PicaptionError(
            "--images, --split and --classes go with --captions or --labels: "
            "folders need none of them"
        )
    if not folders and not images:
        raise PicaptionError("give the folder of the pictures with --images")
    if (training or gallery) and not captions:
        raise PicaptionError("--training and --gallery are about captions: give --captions")
    if (training_split or training_images) and not training:
        raise PicaptionError(
            "--training-split and --training-images go with --training: give the captions file there"
        )


def read_data(
    captions,
    labels,
    folders,
    images,
    split,
    classes,
    training,
    training_split,
    training_images,
    limit,
):
    """Return the Dataset that these options of `picaption evaluate` ask for, and that of --training or None."""
    import dataclasses

    from .data import readers
    from .evaluation import evaluate

    learnt = None
    if captions:
        dataset = readers.read_captions(captions, images, split)
        if labels:
            dataset = readers.add_labels(
                dataset, readers.read_labels(labels, images, None, classes)
            )
        if training:
            learnt = evaluate.read_training(
                training, training_images or images, training_split, dataset
            )
    elif labels:
        dataset = readers.read_labels(labels, images, split, classes)
    else:
        dataset = readers.read_folders(folders)
    if limit:
        dataset = dataclasses.replace(dataset, records=dataset.records[:limit])
    return dataset, learnt
