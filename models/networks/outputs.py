"""Which of a network's outputs are the scores."""

from collections.abc import Sequence
from pathlib import Path

from picaption.device.errors import PicaptionError


def choose_output(path: Path, names: Sequence[str], output_name: str | None) -> str:
    """Return the name of the output that holds the scores.

    Args:
        path: The network's file, for errors.
        names: Of all its outputs.
        output_name: The one that was asked for; None: the only one.

    Raises:
        PicaptionError: There is none of that name, or several and none is asked for.
    """
    listed = ", ".join(names)
    if output_name is not None and output_name not in names:
        raise PicaptionError(f"{path}: it has no output {output_name}; it gives {listed}")
    if output_name is None and len(names) != 1:
        raise PicaptionError(
            f"{path}: it gives {len(names)} outputs, {listed}: choose the scores with --output-name"
        )
    return output_name or names[0]
