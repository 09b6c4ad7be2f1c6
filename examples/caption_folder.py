"""Caption a folder to JSON lines: python examples/caption_folder.py photos > captions.jsonl."""

import json
import sys

from picaption.device import PicaptionError, Recognizer, default_bundle
from picaption.device.images import list_images, read_image

if len(sys.argv) != 2:
    sys.exit("usage: caption_folder.py FOLDER")
recognizer = Recognizer(default_bundle())
for path in list_images(sys.argv[1]):
    try:
        recognition = recognizer(read_image(path))
    except PicaptionError as error:  # a damaged image does not end the run
        print(error, file=sys.stderr)
        continue
    print(json.dumps({"path": str(path)} | recognition.to_json()), flush=True)
