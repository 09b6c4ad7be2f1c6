"""Use a .tflite classifier: python examples/wrap_tflite.py net.tflite labels.txt bundle.tflite.

Its layers and weights stay as they are; `picaption live --bundle bundle.tflite` then runs it.
labels.txt has a class a line, in the order of the scores.
"""

import sys
from pathlib import Path

from picaption.convert.import_tflite import wrap
from picaption.convert.options import ImportOptions
from picaption.device.bundle.archive import write_bundle

if len(sys.argv) != 4:
    sys.exit("usage: wrap_tflite.py CLASSIFIER LABELS BUNDLE")
classifier, labels, bundle = map(Path, sys.argv[1:])
names = tuple(labels.read_text(encoding="utf-8").splitlines())
# A network of floating point does not say which pixels it takes: here from 0 to 1.
contents = wrap(classifier, ImportOptions(names, pixels="0..1"))
write_bundle(bundle, contents)
size = contents.metadata.input
print(f"{bundle}: {len(contents.labels)} classes of images of {size.width} x {size.height} pixels")
