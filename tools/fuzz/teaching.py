"""What is asked of the page that teaches: requests, one after the other, on class folders.

An input is such requests, each an address, a content type and a body, with SEPARATOR between them.
The folder has what a user may have put there: pictures, a file that is none, links, odd names.
Wrong is a status of 500 or more, a state that is no JSON, a file that was touched outside the
folder, or a picture where none belongs.
"""

import json
import os
import shutil
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import quote

import numpy as np

from picaption.device.errors import PicaptionError
from picaption.device.images import encode_image
from picaption.device.outputs.web.api.exchange import ApiAnswer, ApiRequest
from picaption.device.outputs.web.teach.addresses import (
    COLLECT_PATH,
    IMAGES_PREFIX,
    STATE_PATH,
    UPLOAD_PATH,
)
from picaption.device.outputs.web.teach.child.classroom import Classroom
from picaption.device.outputs.web.teach.child.program import answer
from picaption.device.teaching.live_bundle import HIDDEN
from tests.tiny import TINY_BUNDLE

from .kind import Kind
from .mutation import mutate_bytes, mutate_text

SEPARATOR = b"\n--and then--\n"
#: Requests of an input, and pictures that are looked at between two of them, at most.
MAX_REQUESTS = 12
MAX_WORK = 8
#: In a body, the n-th picture that there is.
_PLACEHOLDER = "picture {}"
_FORM = "multipart/form-data; boundary=edge"
_JSON = "application/json"
_SECRET = b"not a picture of any class"
#: What takes the place of a value, of its own type or another.
_VALUES: tuple[Any, ...] = (
    *(None, True, -1, 1e308, 10**30, [], {}, [[]], ["picture 0"] * 3100, "", ".", "..", "/", "\\"),
    *("../outside", "/etc", HIDDEN, "cat", "Cat", "CAT ", "away", "none of these", "note.txt"),
    *(
        "a" * 300,
        "é" * 60,
        "\ud800",
        "\x00",
        "\x1b[31m",
        "\u202ecat",
        "<b>",
        "cat/../dog",
        "picture 1",
    ),
)


@cache
def _images() -> tuple[bytes, ...]:
    random = np.random.default_rng(0)
    noise = random.integers(0, 255, (9, 24, 32, 3), np.uint8)
    return tuple(encode_image(image, ".jpg") for image in noise)


def _request(path: str, content_type: str, body: bytes) -> bytes:
    return b"\n".join((path.encode(), content_type.encode(), body))


def _post(path: str, **values: Any) -> bytes:
    return _request(f"/teach/{path}", _JSON, json.dumps(values).encode())


def _upload(label: str, image: bytes, file_name: str | None = None) -> bytes:
    path = f"{UPLOAD_PATH}?class={quote(label)}&take=1"
    if file_name is None:
        return _request(path, "image/jpeg", image)
    head = f'--edge\r\nContent-Disposition: form-data; name="file"; filename="{file_name}"\r\n\r\n'
    return _request(path, _FORM, head.encode() + image + b"\r\n--edge--\r\n")


def _seeds(folder: Path) -> list[bytes]:
    picture, *others = _images()[6:]
    png = encode_image(np.zeros((8, 8, 3), np.uint8), ".png")
    moves = (
        _post("move", images=["picture 0", "picture 3"], **{"class": "bird"}),
        _post("rename", to="wren", **{"class": "bird"}),
        _post("delete", images=["picture 1"]),
        _post("undo"),
        _post("undo"),
        _post("undo"),
    )
    steps = (
        (_upload("cat", picture), _upload("cup", others[0], "../../cup.jpg"), _upload("dog", png)),
        moves,
        (_post("classes", **{"class": "cup"}), _post("remove", **{"class": "cat"}), _post("undo")),
        (_request(COLLECT_PATH, _JSON, b'{"class": "cup", "take": "7"}'), _post("undo")),
        (_post("fit"), _post("live"), _post("back"), _post("undo")),
        (_request(f"{IMAGES_PREFIX}picture 0.jpg", "", b""), _request(STATE_PATH, "", b"")),
    )
    return [SEPARATOR.join(requests) for requests in steps]


def _prepare(folder: Path) -> Path:
    """Make fresh class folders, and what lies beside them; return their folder."""
    shutil.rmtree(folder, ignore_errors=True)
    classes = folder / "classes"
    for label, images in (("cat", _images()[:3]), ("dog", _images()[3:6])):
        (classes / label).mkdir(parents=True)
        for number, image in enumerate(images):
            (classes / label / f"{number}.jpg").write_bytes(image)
    (classes / "cat" / "broken.jpg").write_bytes(_SECRET)
    (classes / "dog" / "link.jpg").symlink_to(folder / "outside" / "secret.jpg")
    (classes / "note.txt").write_bytes(_SECRET)
    (folder / "outside").mkdir()
    (folder / "outside" / "secret.jpg").write_bytes(_SECRET)
    (classes / "away").symlink_to(folder / "outside")
    os.mkdir(os.fsencode(classes) + b"/\xff")
    return classes


def _use(content: bytes, folder: Path) -> None:
    folder = folder / "teaching"
    classroom = Classroom(_prepare(folder), TINY_BUNDLE, 1)
    statuses = [_ask(classroom, request) for request in content.split(SEPARATOR)[:MAX_REQUESTS]]
    _require_state(classroom)
    classroom.close()
    _require_order(folder)
    if not any(status == 200 for status in statuses):
        raise PicaptionError("every request was refused")


def _ask(classroom: Classroom, request: bytes) -> int:
    """Hand over a request; return the answer's status."""
    address, _, rest = request.partition(b"\n")
    content_type, _, body = rest.partition(b"\n")
    keys = _keys(classroom)
    for index, key in enumerate(keys):
        name = _PLACEHOLDER.format(index).encode()
        address = address.replace(name, key)
        body = body.replace(name, key)
    path, _, query = address.decode("latin-1").partition("?")
    question = ApiRequest("POST", path, content_type.decode("latin-1"), query=query)
    head, _ = answer(classroom, question, body)
    if head.needs_frame:
        frame = _images()[-1]
        question = ApiRequest(
            "POST",
            path,
            question.content_type,
            query=query,
            has_asked_frame=True,
            frame_bytes=len(frame),
        )
        head, _ = answer(classroom, question, frame + body)
    _require_client_error(path, head)
    for _ in range(MAX_WORK):
        if not classroom.work():
            break
    return head.status


def _require_client_error(path: str, head: ApiAnswer) -> None:
    if head.status >= 500:
        raise RuntimeError(f"{path}: {head.status}")


def _keys(classroom: Classroom) -> list[bytes]:
    """Return what the pictures that there are go by."""
    state = _require_state(classroom)
    return [key.encode() for entry in state["classes"] for key in entry["images"]]


def _require_state(classroom: Classroom) -> Any:
    head, content = answer(classroom, ApiRequest("GET", STATE_PATH), b"")
    _require_client_error(STATE_PATH, head)
    return json.loads(content)


def _require_order(folder: Path) -> None:
    """Raise RuntimeError if something outside the class folders has changed, or is new in them."""
    outside = folder / "outside"
    if sorted(os.listdir(folder)) != ["classes", "outside"]:
        raise RuntimeError("there is something new beside the folder")
    if os.listdir(outside) != ["secret.jpg"] or (outside / "secret.jpg").read_bytes() != _SECRET:
        raise RuntimeError("something outside the folder has changed")
    for path in _written(folder / "classes"):
        content = path.read_bytes()
        if content != _SECRET and not content.startswith(b"\xff\xd8\xff"):
            raise RuntimeError(f"{path.name} is no picture")


def _written(classes: Path) -> Iterator[Path]:
    for path in classes.rglob("*"):
        if path.is_file() and HIDDEN not in path.parts:
            yield path


def _mutate(seed: bytes, random: Random) -> bytes:
    """Return the requests with other values, letters or bytes, or in another order."""
    requests = seed.split(SEPARATOR)
    choice = random.random()
    if choice < 0.2:
        return SEPARATOR.join(random.choices(requests, k=random.randint(1, MAX_REQUESTS)))
    if choice < 0.4:
        return random.choice((mutate_text, mutate_bytes))(seed, random)
    index = random.randrange(len(requests))
    address, content_type, body = requests[index].split(b"\n", 2)
    if content_type == _JSON.encode() and body != b"{}":
        values = json.loads(body)
        values[random.choice(list(values))] = random.choice(_VALUES)
        body = json.dumps(values).encode()
    elif random.random() < 0.5:
        body = random.choice((mutate_text, mutate_bytes))(body, random)
    else:
        label = random.choice([value for value in _VALUES if isinstance(value, str)])
        name = quote(label.encode("utf-8", "surrogatepass"))
        address = address.partition(b"?")[0] + f"?class={name}".encode()
    requests[index] = b"\n".join((address, content_type, body))
    return SEPARATOR.join(requests)


KINDS = (Kind("teach", _seeds, _use, _mutate),)
