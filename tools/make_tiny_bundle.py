"""Make tests/data/tiny.tflite, the bundle of the device's tests, by training and conversion.

    python tools/make_tiny_bundle.py [OUTPUT]

It takes a minute, and TensorFlow (pip install -e '.[test]').
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests import tiny


def main() -> None:
    """Write the bundle to the path on the command line, or to its place in the tests."""
    output = Path(sys.argv[1]) if len(sys.argv) > 1 else tiny.TINY_BUNDLE
    with tempfile.TemporaryDirectory() as folder:
        tiny.make_tiny_bundle(Path(folder), output)
    print(f"{output}: {output.stat().st_size} bytes")


if __name__ == "__main__":
    main()
