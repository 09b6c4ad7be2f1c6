"""Keras without TensorFlow's greeting, so that an error is the one line it should be."""

import os

from picaption.device.images import quiet_stderr


def load_keras():
    """Import Keras and its backend. What TensorFlow says then of its build and of the CPU is not shown, nor later what its
    environment variable TF_CPP_MIN_LOG_LEVEL, where it is set, does not ask for."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_stderr():
        import keras  # noqa: F401
