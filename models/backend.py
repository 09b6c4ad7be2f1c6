"""Keras without TensorFlow's greeting, so that an error is the only line on stderr."""

import logging
import os
import sqlite3  # noqa: F401  # TensorFlow brings one without full-text search: the first wins.
import warnings

from picaption.device.images import quiet_stderr


def load_keras() -> None:
    """Import Keras and its backend without what TensorFlow writes of its build and the CPU.

    Unless TF_CPP_MIN_LOG_LEVEL is set, TensorFlow logs errors alone from then on.
    """
    is_quiet = "TF_CPP_MIN_LOG_LEVEL" not in os.environ
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with quiet_stderr():
        import keras  # noqa: F401
    if is_quiet:  # What they log from Python does not listen to the variable.
        for name in ("absl", "tensorflow"):
            # A filter, as absl sets its level again when it parses flags.
            logging.getLogger(name).addFilter(_is_error)
        warnings.filterwarnings("ignore", category=UserWarning, module=r"(keras|tensorflow)\b")


def _is_error(record: logging.LogRecord) -> bool:
    return record.levelno >= logging.ERROR
