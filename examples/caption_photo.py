"""Caption a photo: python examples/caption_photo.py device/sources/demo/cat.jpg."""

import sys

from picaption.device import Recognizer, default_bundle
from picaption.device.images import read_image

if len(sys.argv) != 2:
    sys.exit("usage: caption_photo.py PHOTO")
recognizer = Recognizer(default_bundle())
recognition = recognizer(read_image(sys.argv[1]))

# The shipped bundle has a captioner; one that was made of a classifier has none.
if recognition.caption:
    print(recognition.caption.text)
for tag in recognition.tags:
    print(f"{tag.score:.2f} {tag.name}")
