"""Watch a camera for some frames: python examples/live_loop.py demo 50.

Other sources are picamera2, /dev/video0, rtsp://camera/stream or a video file.
"""

import sys

from picaption.device import Recognizer, default_bundle
from picaption.device.recognition.scene import SceneTracker
from picaption.device.sources.sources import open_source

if len(sys.argv) != 3:
    sys.exit("usage: live_loop.py SOURCE FRAMES")
source = open_source(sys.argv[1])
# Recognises every frame, and captions one only where a new scene begins.
tracker = SceneTracker(Recognizer(default_bundle()))
scene = 0
for index in range(int(sys.argv[2])):
    image = source.read()
    if image is None:  # the end of a file
        break
    recognition = tracker(image, index)
    if recognition.scene != scene and recognition.caption:
        scene = recognition.scene
        print(f"frame {index}: {recognition.caption.text}", flush=True)
source.close()
