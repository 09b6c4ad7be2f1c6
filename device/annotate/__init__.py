"""Captions, tags and classes of a collection of images: on all cores, or on a cluster.

Example:
    from picaption.device.annotate import Annotator

    rows = Annotator()({"path": ["cat.jpg", "dog.jpg"]})
    print(rows["caption"])
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .annotator import Annotator

__all__ = ["Annotator"]


def __getattr__(name: str) -> Any:
    """Return the Annotator, whose module is loaded once it is asked for."""
    if name != "Annotator":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .annotator import Annotator

    return Annotator
