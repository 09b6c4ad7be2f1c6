"""Keras without TensorFlow's greeting, so that an error is the only line on stderr."""

import os

from picaption.device.images import quiet_stderr


def load_keras() -> None:
    """Import Keras and its backend without what TensorFlow writes of its build and the CPU.

    Unless TF_CPP_MIN_LOG_LEVEL is set, TensorFlow logs errors alone from then on.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_stderr():
        import keras  # noqa: F401
