"""Where frames come from: cameras, streams, videos, images, the demo."""
