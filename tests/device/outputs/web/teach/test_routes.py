"""What is asked of teaching over HTTP: what it does, and what it refuses."""

import http.client
import json
import os
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import cv2
import numpy as np
import pytest

from picaption.device.bundle.bundle import Bundle
from picaption.device.images import encode_image, read_image
from picaption.device.outputs.web.server import WebServer
from picaption.device.teaching.live_bundle import live_bundle
from tests.device.fakes.web_client import TOKEN, ask, port_of
from tests.tiny import DEMO

NONE = "none of these"
UPLOAD = "/teach/upload?class=mug"


def classes(state):
    """Return how many images each class has that has some, or was named."""
    counts = {entry["name"]: len(entry["images"]) for entry in state["classes"]}
    if not counts[NONE]:
        del counts[NONE]
    return counts


def keys(state, label):
    return next(entry["images"] for entry in state["classes"] if entry["name"] == label)


def picture(level=0, side=48, suffix=".jpg"):
    """Return the bytes of a picture that differs from those of other levels."""
    image = np.full((side, side, 3), level, np.uint8)
    image[: side // 2, : side // 2] = 255 - level
    return encode_image(image, suffix)


def upload(school, label, *levels):
    for level in levels:
        state = school.state(f"/teach/upload?class={label}&take={label}", body=picture(level))
    return state


def files(folder):
    """Return the pictures in class folders."""
    paths = [str(path.relative_to(folder)) for path in folder.rglob("*.jpg")]
    return sorted(path for path in paths if not path.startswith(".picaption"))


def test_the_page_is_there_with_a_policy_of_its_own_and_leads_to_the_live_one(school):
    status, headers, body = school.ask("/teach")
    page = body.decode()
    assert status == 200 and '<a href="/teach" aria-current="page">Teach</a>' in page
    assert headers["Content-Security-Policy"] != school.ask("/")[1]["Content-Security-Policy"]
    assert b'<a href="/teach">Teach</a>' in school.ask("/")[2]
    assert "innerHTML" not in page and " style=" not in page and " onclick=" not in page
    assert page.count("http") == page.count("http://www.w3.org/2000/svg")
    assert "$style" not in page and "$script" not in page and "unsafe" not in str(headers)


def test_without_the_setting_there_is_no_such_page(serve):
    page = serve()
    assert ask(page, "/teach")[0] == ask(page, "/teach/state.json")[0] == 404
    assert b"Teach" not in ask(page)[2]


def test_everything_asks_for_the_token(tmp_path, school):
    control = school.pipeline.control
    page = WebServer("127.0.0.1", 0, TOKEN, control=control, teach=str(tmp_path))
    try:
        for method, path in (
            ("GET", "/teach/state.json"),
            ("GET", "/teach/images/0.jpg"),
            ("POST", "/teach/upload"),
            ("POST", "/teach/live"),
        ):
            status, headers, body = ask(page, path, method)
            assert status == 401 and json.loads(body)["error"].startswith("the token is missing")
        # What another site's page sends is not taken, whatever its cookie.
        cookie = ask(page, f"/teach?token={TOKEN}", Accept="text/html")[1]["Set-Cookie"]
        headers = {"Cookie": cookie.split(";")[0], "Sec-Fetch-Site": "cross-site"}
        assert ask(page, "/teach/undo", "POST", **headers)[0] == 403
        assert b"Log in" in ask(page, "/teach", Accept="text/html")[2]
        assert os.listdir(tmp_path) == []
    finally:
        page.close()


def test_frames_are_taken_and_the_folder_is_what_teach_takes(school):
    state = school.state("/teach/classes", {"class": "  my mug "})
    assert classes(state) == {"my mug": 0} and files(school.folder) == []
    deadline = time.monotonic() + 30
    while classes(state)["my mug"] < 3:
        assert time.monotonic() < deadline
        status, _, body = school.ask("/teach/collect", {"class": "My Mug", "take": "press"})
        # A frame that is there already is not taken twice.
        assert status == 200 or b"the very same picture is in my mug already" in body
        state = school.state()
    assert files(school.folder) == [f"my mug/000{number}.jpg" for number in range(3)]
    assert read_image(school.folder / "my mug" / "0000.jpg").shape == (240, 320, 3)
    assert state["undo"] == "add to my mug"
    # The images of one press are one step.
    assert classes(school.state("/teach/undo", {})) == {"my mug": 0}
    assert files(school.folder) == [] and not (school.folder / "my mug").exists()


def test_pictures_move_are_deleted_and_come_back(school):
    upload(school, "mug", 1, 2, 3)
    state = upload(school, "cup", 4, 5)
    mugs = keys(state, "mug")
    state = school.state("/teach/move", {"images": mugs[:2], "class": "cup"})
    assert classes(state) == {"cup": 4, "mug": 1} and state["undo"] == "move 2 pictures to cup"
    state = school.state("/teach/delete", {"images": [mugs[2], *keys(state, "cup")[:1]]})
    assert classes(state) == {"cup": 3, "mug": 0} and not (school.folder / "mug").exists()
    state = school.state("/teach/rename", {"class": "cup", "to": "Tasse"})
    assert classes(state) == {"Tasse": 3, "mug": 0}
    state = school.state("/teach/remove", {"class": "Tasse"})
    assert classes(state) == {"mug": 0} and files(school.folder) == []
    expected = [{"Tasse": 3, "mug": 0}, {"cup": 3, "mug": 0}, {"cup": 4, "mug": 1}]
    for counts in (*expected, {"cup": 2, "mug": 3}, {"cup": 0, "mug": 3}, {"cup": 0, "mug": 0}):
        state = school.state("/teach/undo", {})
        assert classes(state) == counts
    assert state["undo"] is None
    assert school.refused("/teach/undo", {}) == (409, "there is nothing to undo")


def test_a_fit_goes_live_and_back_and_the_page_hears_of_it(school, photos):
    camera = school.camera
    for camera.subject in ("cat", "coffee"):
        for _ in range(6):
            image = encode_image(camera.read(), ".jpg")
            school.state(f"/teach/upload?class={camera.subject}", body=image)
    assert school.refused("/teach/live", {}) == (409, "nothing was fitted yet; press Fit first")
    assert school.refused("/teach/back", {}) == (409, "nothing that was taught is live")
    state = school.state("/teach/delete", {"images": keys(school.state(), "cat")[:1]})
    assert list((school.folder / ".picaption" / "trash").iterdir())
    school.state("/teach/fit", {})
    fitted = school.wait(lambda state: not state["fitting"])["fitted"]
    assert (fitted["labels"], fitted["counts"]) == (["cat", "coffee"], [5, 6])
    assert fitted["is_current"] and 0.5 <= fitted["accuracy"] <= 1
    assert [sum(row) for row in fitted["confusion"]] == [5, 6]
    # What was deleted before is gone for good.
    assert list((school.folder / ".picaption" / "trash").iterdir()) == []
    assert school.state()["undo"] is None

    state = school.state("/teach/live", {})
    assert state["bundle"] == {"name": "taught", "is_taught": True, "classes": 2}
    assert state["fitted"] is None and state["live"]["labels"] == ["cat", "coffee"]
    control = school.pipeline.control
    assert control.state.labels == ("cat", "coffee")
    assert Bundle(live_bundle(school.folder)).labels == ("cat", "coffee")
    assert school.page._bundle_name() == "taught"

    # Home Assistant picks another bundle; the same press brings the classes back.
    control.choose_bundle(next(name for name in control.state.bundles if "tiny" in name))
    state = school.wait(lambda state: not state["bundle"]["is_taught"])
    assert state["live"]["labels"] == ["cat", "coffee"] and state["fitted"] is None
    state = school.state("/teach/live", {})
    assert state["bundle"]["is_taught"] and control.state.labels == ("cat", "coffee")

    # Another one goes live; back leads to the first, and back again to the settings' bundle.
    school.state("/teach/rename", {"class": "coffee", "to": "cup"})
    school.state("/teach/fit", {})
    assert school.wait(lambda state: not state["fitting"])["fitted"]["labels"] == ["cat", "cup"]
    school.state("/teach/live", {})
    assert control.state.labels == ("cat", "cup")
    state = school.state("/teach/back", {})
    assert control.state.labels == ("cat", "coffee") and state["fitted"]["labels"][1] == "cup"
    assert school.state("/teach/back", {})["bundle"]["is_taught"] is False
    assert len(control.state.labels) == 4 and not live_bundle(school.folder).exists()


def test_a_bundle_that_the_loop_cannot_open_goes_back(school):
    for label, level in (("cat", 10), ("dog", 200)):
        upload(school, label, level, level + 1, level + 2)
    school.state("/teach/fit", {})
    school.wait(lambda state: state["fitted"] and not state["fitting"])
    path = school.folder / ".picaption" / "fitted" / "taught.tflite"
    path.write_bytes(path.read_bytes()[:9000])
    status, message = school.refused("/teach/live", {})
    assert status == 409 and message.startswith("the bundle stays as it was: ")
    assert path.exists() and school.state()["bundle"]["is_taught"] is False


def test_what_cannot_be_fitted_is_said(school):
    def problem():
        school.state("/teach/fit", {})
        return school.wait(lambda state: not state["fitting"])["problem"]

    assert problem() == f"two classes with pictures are needed, besides {NONE!r}"
    upload(school, "cat", 1, 2, 3)
    upload(school, "dog", 4, 5)
    assert problem() == "a class takes 3 pictures or more: dog has 2"
    (school.folder / "dog" / "cut.jpg").write_bytes(picture(9)[:200])
    assert problem() == "a class takes 3 pictures or more: dog has 2"
    state = school.wait(lambda state: not state["waiting"])
    assert state["left_out"] == ["dog/cut.jpg is cut short or damaged; copy it again"]


# --- what is refused


@pytest.mark.parametrize(
    ("body", "status", "message"),
    [
        (b"", 400, "the picture is empty; send a JPEG, PNG or WebP file"),
        (b"hello", 415, "the picture is not a JPEG, PNG or WebP file"),
        (b"GIF89a" + bytes(20), 415, "the picture is not a JPEG, PNG or WebP file"),
        (picture()[:300], 400, "the picture is cut short or damaged; copy it again"),
        (b"\x89PNG\r\n\x1a\n" + bytes(50), 400, "the picture is cut short or damaged"),
        (bytes(17 << 20), 413, "the body is larger than 16 MB"),
    ],
)
def test_what_is_no_picture_is_not_kept(school, body, status, message):
    assert school.refused(UPLOAD, body=body)[0] == status
    assert message in school.refused(UPLOAD, body=body)[1]
    assert files(school.folder) == [] and os.listdir(school.folder) == [".picaption"]


def test_a_picture_of_too_many_pixels_is_not_kept(school):
    # 900 million pixels in 1 MB: the header says so before anything is decoded.
    data = bytearray(picture(suffix=".png"))
    data[16:24] = (30000).to_bytes(4) * 2
    status, message = school.refused(UPLOAD, body=bytes(data))
    assert status in (400, 413) and files(school.folder) == []
    large = cv2.imencode(".jpg", np.zeros((2000, 3000, 3), np.uint8))[1].tobytes()
    school.state(UPLOAD, body=large)
    # Kept as a JPEG of a size that serves, without what a phone writes beside the picture.
    assert read_image(school.folder / "mug" / "0000.jpg").shape == (853, 1280, 3)


def test_what_a_camera_writes_beside_a_picture_is_not_kept(school):
    data = picture(7)
    exif = b"\xff\xe1" + (2 + 20).to_bytes(2) + b"Exif\0\0" + b"where-I-live!!"
    school.state(UPLOAD, body=data[:2] + exif + data[2:])
    assert b"where-I-live" not in (school.folder / "mug" / "0000.jpg").read_bytes()


@pytest.mark.parametrize(
    "name",
    [
        "..",
        ".",
        "../up",
        "/etc",
        "a/b",
        ".picaption",
        ".hidden",
        "",
        "   ",
        "a\0b",
        "a\nb",
        "a\u202eb",
        "\ud800",
        "c" * 61,
        "\U0001f600" * 61,
        None,
        7,
        ["mug"],
        {"a": 1},
    ],
)
def test_no_name_is_a_path(school, name):
    message = "a class has a name of 1 to 60 characters"
    for path, values in (
        ("/teach/classes", {"class": name}),
        ("/teach/collect", {"class": name, "take": "x"}),
        ("/teach/move", {"images": ["0" * 20], "class": name}),
    ):
        status, text = school.refused(path, values)
        assert status == 400 and message in text
    state = upload(school, "mug", 1)
    assert school.refused("/teach/rename", {"class": "mug", "to": name})[0] == 400
    assert os.listdir(school.folder.parent) == [school.folder.name]
    assert classes(state) == classes(school.state())


def test_names_of_files_are_not_used_and_odd_names_of_classes_are(school):
    boundary = "x"
    head = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; '
        'filename="../../../../tmp/evil.jpg"\r\n\r\n'
    )
    form = head.encode() + picture(3) + f"\r\n--{boundary}--\r\n".encode()
    path = "/teach/upload?class=%3Cb%3E%20%26%20%22..%22%20%5C"
    status, _, _ = school.ask(
        path, body=form, **{"Content-Type": f"multipart/form-data; boundary={boundary}"}
    )
    assert status == 200 and files(school.folder) == ['<b> & ".." \\/0000.jpg']


@pytest.mark.parametrize(
    ("path", "values", "status", "message"),
    [
        ("/teach/move", {"images": ["../x"], "class": "a"}, 404, "a picture is gone"),
        ("/teach/delete", {"images": []}, 400, "images are a list of 1 to"),
        ("/teach/delete", {"images": [1]}, 400, "images are a list of 1 to"),
        ("/teach/delete", {"images": "x"}, 400, "images is not a list"),
        ("/teach/delete", {}, 400, "images is missing"),
        ("/teach/delete", {"images": ["x"] * 3001}, 400, "images are a list of 1 to"),
        ("/teach/delete", ["x"], 400, "the body is not a JSON object"),
        ("/teach/rename", {"class": "absent", "to": "x"}, 404, "there is no class absent"),
        ("/teach/rename", {"class": NONE, "to": "x"}, 404, "there is no class none of these"),
        ("/teach/remove", {"class": "../.."}, 404, "there is no class ../.."),
        ("/teach/collect", {"class": "a"}, 400, "take is missing"),
    ],
)
def test_what_makes_no_sense_is_one_line(school, path, values, status, message):
    actual, text = school.refused(path, values)
    assert actual == status and message in text


def test_addresses_name_no_files(school):
    upload(school, "mug", 1)
    for path in (
        "/teach/images/0001.jpg",
        "/teach/images/..%2F..%2Fmug%2F0000.jpg",
        "/teach/images/../mug/0000.jpg",
        "/teach/images/mug%2F0000.jpg",
    ):
        assert school.ask(path)[0] == 404
    status, message = school.refused("/teach/upload?class=a&" + "x=1&" * 20, body=picture())
    assert status == 400 and "names more than" in message
    assert school.refused("/teach/fit", body=b"{")[0] == 400


def test_a_thumbnail_is_small_and_may_be_kept(school):
    image = read_image(DEMO / "cat.jpg")
    (key,) = keys(school.state(UPLOAD, body=encode_image(image, ".jpg")), "mug")
    status, headers, body = school.ask(f"/teach/images/{key}.jpg")
    assert status == 200 and headers["Content-Type"] == "image/jpeg" and len(body) < 30_000
    assert max(cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR).shape) == 240
    assert headers["Cache-Control"].startswith("private")


def test_links_lead_nowhere(school, tmp_path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "a.jpg").write_bytes(picture(1))
    (school.folder / "linked").symlink_to(tmp_path / "secret")
    upload(school, "mug", 2)
    (school.folder / "mug" / "b.jpg").symlink_to(tmp_path / "secret" / "a.jpg")
    # Where the next one is written, before it is complete.
    (school.folder / "mug" / ".partial.0001.jpg").symlink_to(tmp_path / "secret" / "a.jpg")
    try:
        state = upload(school, "mug", 3)
        assert classes(state) == {"mug": 2}
        assert state["left_out"] == [
            "linked: it is a link, and left out",
            "mug/b.jpg: it is not a file, and left out",
        ]
        assert school.refused("/teach/classes", {"class": "linked"})[0] == 409
        assert school.refused("/teach/upload?class=linked", body=picture(4))[0] == 409
        assert [path.name for path in (tmp_path / "secret").iterdir()] == ["a.jpg"]
        assert (tmp_path / "secret" / "a.jpg").read_bytes() == picture(1)
    finally:
        (school.folder / "linked").unlink()
        (school.folder / "mug" / "b.jpg").unlink()


def test_the_same_picture_is_kept_once_and_found_once(school):
    upload(school, "mug", 1)
    status, message = school.refused("/teach/upload?class=cup", body=picture(1))
    assert (status, message) == (409, "the very same picture is in mug already")
    copy = (school.folder / "mug" / "0000.jpg").read_bytes()
    (school.folder / "cup").mkdir()
    (school.folder / "cup" / "same.jpg").write_bytes(copy)
    state = school.state()
    assert classes(state) == {"cup": 1, "mug": 0}
    expected = "mug/0000.jpg: it is left out, the same picture as cup/same.jpg"
    assert state["left_out"] == [expected]


def test_a_client_that_leaves_in_the_middle_leaves_nothing(school):
    with closing(http.client.HTTPConnection("127.0.0.1", port_of(school.page))) as connection:
        connection.putrequest("POST", UPLOAD)
        connection.putheader("Content-Length", "100000")
        connection.endheaders()
        connection.send(picture()[:500])
    assert classes(school.state()) == {} and files(school.folder) == []


# --- the process, and what it leaves


def test_the_process_comes_back_and_what_was_deleted_goes(school):
    state = upload(school, "mug", 1, 2)
    school.state("/teach/delete", {"images": keys(state, "mug")[:1]})
    teacher = school.page._workers[1]
    pid = teacher._child.process.pid
    limits = Path(f"/proc/{pid}/limits").read_text()
    assert "Max file size             268435456" in limits
    assert os.getpriority(os.PRIO_PROCESS, pid) >= min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)
    os.kill(pid, 9)
    while teacher._child.process.returncode is None:  # Set after the process is gone.
        time.sleep(0.01)
    state = school.state()
    assert classes(state) == {"mug": 1} and state["undo"] is None
    assert not (school.folder / ".picaption" / "trash").exists()


def test_a_full_disk_is_one_line_and_leaves_what_there_was(tmp_path):
    program = """
import json, resource, sys
from pathlib import Path
from picaption.device.outputs.web.api.exchange import ApiError, ApiRequest
from picaption.device.outputs.web.teach.child.classroom import Classroom

folder, bundle, *images = map(Path, sys.argv[1:])
room = Classroom(folder, bundle, 1)
request = ApiRequest("POST", "/teach/upload", query="class=mug")
room.answer(request, None, images[0].read_bytes())
resource.setrlimit(resource.RLIMIT_FSIZE, (2000, -1))  # As where there is no room any more.
try:
    room.answer(request, None, images[1].read_bytes())
except ApiError as error:
    print(error.status, error)
"""
    from tests.tiny import TINY_BUNDLE

    images = [DEMO / "cat.jpg", DEMO / "coffee.jpg"]
    result = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path), str(TINY_BUNDLE), *map(str, images)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "507 nothing was changed: File too large\n"
    assert [path.name for path in (tmp_path / "mug").iterdir()] == ["0000.jpg"]
