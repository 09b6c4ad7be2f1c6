"""What the page asks of its class folders, and the state that it is shown."""

import errno
import json
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from .....errors import PicaptionError
from .....images import encode_image, read_image, shrink_to_fit
from .....log import one_line
from .....teaching.live_bundle import HIDDEN
from ...api.child.fields import parse_body, required
from ...api.child.questions import NeedsFrameError
from ...api.child.uploads import decode_upload, extract_upload
from ...api.exchange import ApiError, ApiRequest
from ..addresses import (
    BACK_PATH,
    COLLECT_PATH,
    IMAGES_PREFIX,
    LIVE_PATH,
    MAX_SIDE,
    STATE_PATH,
    UPLOAD_PATH,
)
from .bundles import TaughtBundles
from .files import make_folder, remove
from .gallery import NONE, Album, Gallery, check_label
from .learner import Learner
from .steps import Step, Steps

#: The quality of the JPEG of an image that was sent.
JPEG_QUALITY = 92
#: The same of a thumbnail, and how many are remembered.
THUMBNAIL_SIDE = 240
THUMBNAIL_QUALITY = 78
MAX_THUMBNAILS = 600
#: Images that one request names at most, and characters of a take.
MAX_NAMED = 3000
MAX_TAKE = 40

#: What the system says where there is no room.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

JPEG_TYPE = "image/jpeg"
JSON_TYPE = "application/json"
#: The folder of deleted images, in the hidden one.
TRASH = "trash"


class Classroom:
    """Answers requests one after the other.

    Args:
        folder: The folder of class folders; it is there.
        bundle: The path of the bundle that lends its encoder and captioner.
        threads: Threads to compute with; None: as the runtime chooses.

    Raises:
        PicaptionError: The bundle or the folder is unusable.
    """

    def __init__(self, folder: Path, bundle: Path, threads: int | None) -> None:
        hidden = folder / HIDDEN
        try:
            make_folder(hidden)
            self._trash = hidden / TRASH
            remove(self._trash)
            bundles = TaughtBundles(hidden)
        except OSError as error:
            raise PicaptionError(f"{hidden} cannot be used: {error.strerror}") from None
        self._bundles = bundles
        self._gallery = Gallery(folder)
        self._steps = Steps(self._trash)
        self._learner = Learner(bundle, threads, bundles, folder)
        self._thumbnails: OrderedDict[str, bytes] = OrderedDict()
        self._actions: dict[str, Callable[[dict[str, Any], Album], Step | None]] = {
            "/teach/classes": self._add_class,
            "/teach/rename": self._rename,
            "/teach/remove": self._remove,
            "/teach/move": self._move,
            "/teach/delete": self._delete,
            "/teach/undo": self._undo,
            "/teach/fit": self._fit,
            LIVE_PATH: self._go_live,
            BACK_PATH: self._go_back,
        }

    def answer(self, request: ApiRequest, frame: bytes | None, body: bytes) -> tuple[bytes, str]:
        """Return the answer to a request, and its media type.

        Args:
            request: The request.
            frame: The live camera's newest frame, a JPEG; None: it was not asked for, or there is
                none.
            body: The request's body.

        Raises:
            ApiError: It is refused.
            NeedsFrameError: There is no answer without the newest frame.
        """
        path = request.path
        try:
            if path.startswith(IMAGES_PREFIX):
                return self._thumbnail(path.removeprefix(IMAGES_PREFIX)), JPEG_TYPE
            album = self._gallery.scan()
            if path == COLLECT_PATH:
                self._collect(request, frame, body, album)
            elif path == UPLOAD_PATH:
                self._upload(request, body, album)
            elif path in self._actions:
                step = self._actions[path](parse_body(body), album)
                if step is not None:
                    self._steps.push(step)
            elif path != STATE_PATH:
                raise ApiError(404, f"there is nothing at {path}")
            return json.dumps(self._state()).encode(), JSON_TYPE
        except OSError as error:
            status = 507 if error.errno in FULL else 500
            raise ApiError(status, f"nothing was changed: {error.strerror}") from None
        except PicaptionError as error:
            raise ApiError(409, one_line(str(error))) from None

    def work(self) -> bool:
        """Do a part of what there is to do between requests; return whether there is more."""
        try:
            album = self._gallery.scan()
        except ApiError:
            return False
        missing = self._learner.missing(album)
        if missing:
            self._learner.learn(missing[0])
            return True
        if self._learner.wants_fit:
            self._learner.start_fit(album)
        return False

    def close(self) -> None:
        """Remove what was deleted: after the end nothing can be taken back."""
        remove(self._trash)

    def _state(self) -> dict[str, Any]:
        album = self._gallery.scan()
        fingerprint = album.fingerprint()
        bundles = self._bundles.summaries()
        for summary in bundles.values():
            if summary is not None:
                summary["is_current"] = summary.get("album") == fingerprint
        last = self._steps.last
        return {
            "classes": [
                {"name": label, "images": [image.key for image in images]}
                for label, images in album.classes.items()
            ],
            "none": NONE,
            "left_out": [*album.left_out, *self._learner.why_unreadable(album)],
            "waiting": len(self._learner.missing(album)),
            "fitting": self._learner.is_fitting,
            "problem": self._learner.problem,
            "undo": last.text if last else None,
            **bundles,
        }

    def _thumbnail(self, name: str) -> bytes:
        """Return the small JPEG of KEY.jpg."""
        key = name.removesuffix(".jpg")
        if key in self._thumbnails:
            self._thumbnails.move_to_end(key)
            return self._thumbnails[key]
        (image,) = self._gallery.scan().find([key])
        small = shrink_to_fit(read_image(image.path), THUMBNAIL_SIDE)
        data = encode_image(small, ".jpg", THUMBNAIL_QUALITY)
        self._thumbnails[key] = data
        if len(self._thumbnails) > MAX_THUMBNAILS:
            self._thumbnails.popitem(last=False)
        return data

    def _collect(self, request: ApiRequest, frame: bytes | None, body: bytes, album: Album) -> None:
        values = parse_body(body)
        label = check_label(values.get("class"), album.classes)
        take = required(values, "take", str)[:MAX_TAKE]
        if not request.has_asked_frame:
            raise NeedsFrameError
        if frame is None:
            raise ApiError(503, "there is no live picture at the moment")
        self._steps.push(self._gallery.add(label, frame, take, album))

    def _upload(self, request: ApiRequest, body: bytes, album: Album) -> None:
        try:
            query = parse_qs(request.query, max_num_fields=8)
        except ValueError:
            raise ApiError(400, "the address names more than class and take") from None
        label = check_label(query.get("class", [""])[0], album.classes)
        take = query.get("take", [""])[0][:MAX_TAKE]
        image = decode_upload(extract_upload(body, request.content_type))
        data = encode_image(shrink_to_fit(image, MAX_SIDE), ".jpg", JPEG_QUALITY)
        self._steps.push(self._gallery.add(label, data, take, album))

    def _add_class(self, values: dict[str, Any], album: Album) -> None:
        self._gallery.name(check_label(values.get("class"), album.classes), album)

    def _rename(self, values: dict[str, Any], album: Album) -> Step:
        label = required(values, "class", str)
        new = check_label(values.get("to"))
        if new == NONE:
            raise ApiError(409, f"{NONE} is there already; move the pictures there")
        return self._gallery.rename(label, new, album)

    def _remove(self, values: dict[str, Any], album: Album) -> Step:
        return self._gallery.remove(required(values, "class", str), album, self._trash)

    def _move(self, values: dict[str, Any], album: Album) -> Step:
        label = check_label(values.get("class"), album.classes)
        return self._gallery.move(album.find(_keys(values)), label, album)

    def _delete(self, values: dict[str, Any], album: Album) -> Step:
        return self._gallery.delete(album.find(_keys(values)), self._trash)

    def _undo(self, values: dict[str, Any], album: Album) -> None:
        step = self._steps.pop()
        if step is None:
            raise ApiError(409, "there is nothing to undo")
        self._gallery.take_back(step)

    def _fit(self, values: dict[str, Any], album: Album) -> None:
        if self._learner.is_fitting:
            raise ApiError(409, "a fit is under way")
        # What is fitted is what the user wants: what was deleted before is gone for good.
        self._steps.clear()
        self._learner.problem = ""
        self._learner.wants_fit = True

    def _go_live(self, values: dict[str, Any], album: Album) -> None:
        if self._learner.is_fitting:
            raise ApiError(409, "a fit is under way")
        self._bundles.go_live()

    def _go_back(self, values: dict[str, Any], album: Album) -> None:
        if self._learner.is_fitting:
            raise ApiError(409, "a fit is under way")
        self._bundles.go_back()


def _keys(values: dict[str, Any]) -> list[str]:
    """Return the images that a request names.

    Raises:
        ApiError: It names none, or too many, or they are no texts.
    """
    keys: list[Any] = required(values, "images", list)
    if not 0 < len(keys) <= MAX_NAMED or not all(isinstance(key, str) for key in keys):
        raise ApiError(400, f"images are a list of 1 to {MAX_NAMED} texts")
    return keys
