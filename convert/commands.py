"""The command `picaption convert`."""

from pathlib import Path

import click

from convert import PRECISIONS
from device.errors import PicaptionError


@click.command()
@click.argument("run", type=click.Path(exists=True, file_okay=False))
@click.option("--output", "-o", default="picaption.tflite", show_default=True, help="Bundle to write.")
@click.option("--representative", type=click.Path(),
              help="Folder of pictures like those the device will see; the ranges of activations come from them. A run of "
                   "class folders needs none: it stands on a bundle.")
@click.option("--count", default=200, show_default=True, type=click.IntRange(8), help="Pictures to take of it.")
@click.option("--seed", default=1, show_default=True, help="Which of its pictures are drawn.")
@click.option("--precision", default="int8", show_default=True, type=click.Choice(PRECISIONS),
              help="int16: activations of 16 bits, weights of 8; dynamic: quantize weights alone; float32: nothing.")
def convert(run, output, representative, count, seed, precision):
    """Quantize a training run to one bundle, and check it.

    RUN is the folder that picaption train left. Float model and bundle are compared on pictures held out of the
    representative ones; beyond a stated bound, nothing is written and the exit code is 2.
    """
    from models.classes import BASE, convert_classes
    if Path(run, BASE).exists():
        convert_classes(run, output)
        click.echo(f"{output}: {Path(output).stat().st_size / 1e6:.2f} MB, written")
        return
    if not representative:
        raise PicaptionError("give --representative, a folder of pictures like those the device will see")
    from convert.convert import convert
    agreement = convert(run, output, representative, count, seed=seed, precision=precision)
    click.echo(f"{output}: float and bundle differ by {agreement.features:.4f} in features (1 - cosine), "
               f"{agreement.words:.4f} nats a word, {agreement.classes:.4f} in class scores; "
               f"{agreement.caption:.0%} of captions are the very same")
