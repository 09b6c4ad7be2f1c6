"""The commands `picaption train` and `picaption evaluate`."""

import click

FILE = click.Path(dir_okay=False)
FOLDER = click.Path(file_okay=False)


@click.command()
@click.argument("recipe", required=False, type=FILE)
@click.option("--data", default=".", show_default=True, type=FOLDER, help="Folder that the recipe's paths start from.")
@click.option("--out", default="run", show_default=True, type=FOLDER,
              help="Folder to leave the run in; an interrupted run in it goes on.")
@click.option("--set", "overrides", multiple=True, metavar="NAME=VALUE", help="Override a setting of the recipe.")
def train(recipe, data, out, overrides):
    """Train captioner and classifier as the TOML file RECIPE says.

    See models/settings.py for every setting. Call it again after an interruption, and the run goes on where
    it stopped; picaption convert makes a bundle of its folder.
    """
    import logging
    from models.settings import read_settings
    settings = read_settings(recipe, overrides)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    from models.train import train
    train(settings, data, out)


@click.command()
@click.argument("model", type=click.Path())
@click.option("--captions", type=FILE, help="Captions file: Flickr8k.token.txt, Kaggle's captions.txt or COCO's JSON.")
@click.option("--labels", type=FILE, help="Multi-label list: picture, tab, label,label.")
@click.option("--folders", type=FOLDER, help="Class folders: one folder of pictures a class.")
@click.option("--images", type=FOLDER, help="Folder of the pictures that --captions or --labels name.")
@click.option("--split", type=FILE, help="Only the pictures listed in this file, one a line.")
@click.option("--classes", type=FILE, help="The class names of --labels, one a line.")
@click.option("--beam", type=click.IntRange(1, 64), help="Hypotheses of the beam search.  [default: the bundle's]")
@click.option("--threads", type=click.IntRange(1), help="Threads of the runtime.")
@click.option("--limit", type=click.IntRange(1), help="Only the first pictures.")
@click.option("--json", "json_file", type=click.Path(dir_okay=False, allow_dash=True),
              help="Write the figures as JSON to this file (-: standard output).")
@click.option("--record", metavar="NAME", help="Store the figures in the bundle itself, as measured on NAME.")
@click.option("--predictions", type=FILE, help="Write what was said of each picture to this file, a JSON line each.")
def evaluate(model, captions, labels, folders, images, split, classes, beam, threads, limit, json_file, record,
             predictions):
    """Measure how good MODEL is, a bundle or the folder of a training run.

    Give the data by one of --captions, --labels and --folders.
    """
    import dataclasses
    import json
    import os
    from device.errors import PicaptionError
    if sum(map(bool, (captions, labels, folders))) != 1:
        raise PicaptionError("give the data by exactly one of --captions, --labels and --folders")
    if folders and (images or split or classes):
        raise PicaptionError("--images, --split and --classes go with --captions or --labels: folders need none of them")
    if not folders and not images:
        raise PicaptionError("give the folder of the pictures with --images")
    if record and os.path.isdir(model):
        raise PicaptionError("--record stores figures in a bundle; this is a folder")
    from models import evaluate, readers
    from models.files import write_text
    if captions:
        dataset, measure = readers.read_captions(captions, images, split), evaluate.evaluate_captions
    elif labels:
        dataset, measure = readers.read_labels(labels, images, split, classes), evaluate.evaluate_classes
    else:
        dataset, measure = readers.read_folders(folders), evaluate.evaluate_classes
    if limit:
        dataset = dataclasses.replace(dataset, records=dataset.records[:limit])
    recognizer = evaluate.load_recognizer(model, threads)
    if beam:
        recognizer.beam = dataclasses.replace(recognizer.beam, width=beam)
    told = [] if predictions else None
    figures = {"model": model, "beam": recognizer.beam.width, **measure(recognizer, dataset, told)}
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
