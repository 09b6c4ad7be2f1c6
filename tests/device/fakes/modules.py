"""Modules that a test writes."""

import importlib.util


def load_module(path, text):
    """Write a module's text to the path, and return the module."""
    path.write_text(text)
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
