"""Teach new classes: python examples/teach_classes.py photos taught.tflite new.jpg.

The folder `photos` has a folder of three images or more for each class, such as photos/cup and
photos/cat. Neither TensorFlow nor a training run is needed: it takes seconds, on a Pi too.
"""

import sys

from picaption.device import Recognizer, default_bundle
from picaption.device.images import read_image
from picaption.device.teaching.teach import teach

if len(sys.argv) != 4:
    sys.exit("usage: teach_classes.py FOLDER BUNDLE PHOTO")
folder, bundle, photo = sys.argv[1:]
result = teach(default_bundle(), folder, bundle)
for name, count in result.image_counts.items():
    print(f"{name}: {count} images")
print(f"right about images that it was not taught: {result.held_out_accuracy:.0%}")

best = Recognizer(bundle)(read_image(photo)).classes[0]
print(f"{photo}: {best.name} ({best.score:.2f})")
