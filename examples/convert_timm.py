"""Convert a model of timm: python examples/convert_timm.py NAME LABELS PHOTOS BUNDLE.

NAME is such as mobilenetv3_large_100 (pip install timm 'picaption[convert,torch]'). LABELS has a
class a line, PHOTOS is a folder of pictures like those the device will see. The model's own
configuration tells the size and the range of its pixels.
"""

import sys
from pathlib import Path

from picaption.convert.options import ImportOptions


def main(name: str, labels: str, photos: str, bundle: str) -> None:
    """Convert the model of a name."""
    import timm

    from picaption.convert.import_torch import convert_torch

    model = timm.create_model(name, pretrained=True)
    names = tuple(Path(labels).read_text(encoding="utf-8").splitlines())
    agreement = convert_torch(model, bundle, photos, ImportOptions(names))
    print(f"{bundle}: the same first for {agreement.top:.0%}, at most {agreement.largest:.3f} off")


if len(sys.argv) != 5:
    sys.exit("usage: convert_timm.py NAME LABELS PHOTOS BUNDLE")
main(*sys.argv[1:])
