"""The bundles that were fitted: the last one, the one that is live, and the one that was before."""

import json
import os
from pathlib import Path
from typing import Any

from .....atomic import read_text
from .....teaching.live_bundle import BUNDLE, LIVE
from ...api.exchange import ApiError
from .files import make_folder, remove, write_new

#: The folders of the others, and of one that is being written.
FITTED = "fitted"
BEFORE = "before"
NEW = "new"
#: What is known of a bundle, beside it.
SUMMARY = "summary.json"
MAX_SUMMARY_BYTES = 1 << 20


class TaughtBundles:
    """The bundles in a hidden folder.

    Args:
        folder: The folder; it is there.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        remove(folder / NEW)
        # One whose successor never came, because the power did not last.
        if not self._has(LIVE):
            remove(folder / BEFORE)

    def prepare(self) -> Path:
        """Return where a new bundle is to be written.

        Raises:
            OSError: There is no room.
        """
        remove(self._folder / NEW)
        make_folder(self._folder / NEW)
        return self._folder / NEW / BUNDLE

    def discard(self) -> None:
        """Remove what was written of a new bundle."""
        remove(self._folder / NEW)

    def finish(self, summary: dict[str, Any]) -> None:
        """Take the new bundle, complete now, for the one that was fitted last.

        Raises:
            OSError: There is no room.
        """
        write_new(self._folder / NEW / SUMMARY, json.dumps(summary).encode())
        remove(self._folder / FITTED)
        os.rename(self._folder / NEW, self._folder / FITTED)

    def go_live(self) -> None:
        """Let the bundle that was fitted last be the live one; without a new one, the one that is.

        The live loop may have been given another one meanwhile, by Home Assistant say.

        Raises:
            ApiError: Nothing was fitted.
        """
        if not self._has(FITTED):
            if self._has(LIVE):
                return
            raise ApiError(409, "nothing was fitted yet; press Fit first")
        if self._has(LIVE):
            remove(self._folder / BEFORE)
            os.rename(self._folder / LIVE, self._folder / BEFORE)
        else:
            remove(self._folder / LIVE)
        os.rename(self._folder / FITTED, self._folder / LIVE)

    def go_back(self) -> None:
        """Let the bundle be live that was before; none, if none was.

        Raises:
            ApiError: None is live.
        """
        if not self._has(LIVE):
            raise ApiError(409, "nothing that was taught is live")
        if self._has(FITTED):
            remove(self._folder / LIVE)
        else:
            os.rename(self._folder / LIVE, self._folder / FITTED)
        if self._has(BEFORE):
            os.rename(self._folder / BEFORE, self._folder / LIVE)

    def summaries(self) -> dict[str, dict[str, Any] | None]:
        """Return what is known of the bundles, by the names of their folders; None: there is none.

        What cannot be read is an empty object.
        """
        return {name: self._summary(name) for name in (FITTED, LIVE, BEFORE)}

    def _has(self, name: str) -> bool:
        path = self._folder / name
        return not path.is_symlink() and (path / BUNDLE).is_file()

    def _summary(self, name: str) -> dict[str, Any] | None:
        if not self._has(name):
            return None
        path = self._folder / name / SUMMARY
        try:
            value = {} if path.is_symlink() else json.loads(read_text(path, MAX_SUMMARY_BYTES))
        except (OSError, ValueError, RecursionError):
            return {}
        return value if isinstance(value, dict) else {}
