"""The history over HTTP: a real server, and a small history."""

import csv
import http.client
import io
import json
import zipfile
from contextlib import closing
from urllib.parse import urlencode

import pytest

from picaption.device.history.reader import HistoryReader
from picaption.device.outputs.web.history import desk
from picaption.device.outputs.web.server import WebServer
from tests.device.fakes.histories import SCENES, THUMBNAIL, make_history, milliseconds
from tests.device.fakes.web_client import TOKEN, ask, port_of, until
from tests.tiny import TINY_BUNDLE

#: 28 November 2026.
DAY = {"day": "2026-11-28", "tz": "UTC"}


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server with a history that no test changes."""
    path = make_history(tmp_path_factory.mktemp("history") / "history.db")
    server = WebServer("127.0.0.1", 0, bundle=str(TINY_BUNDLE), history=str(path))
    yield server
    server.close()


@pytest.fixture
def own_server(serve, tmp_path):
    """A server with a history of its own."""
    return serve(history=str(make_history(tmp_path / "history.db")))


def get(server, name, **values):
    """Return what /history/NAME answers, as JSON where it is."""
    status, headers, body = ask(server, f"/history/{name}?{urlencode(values)}")
    is_json = headers["Content-Type"] == "application/json"
    return status, json.loads(body) if is_json else body


def captions(server, **values):
    status, form = get(server, "scenes.json", **values)
    assert status == 200
    return [scene["caption"] for scene in form["scenes"]]


def post(server, body, **headers):
    with closing(http.client.HTTPConnection("127.0.0.1", port_of(server), timeout=60)) as client:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        client.request("POST", "/history/delete", data, headers)
        answer = client.getresponse()
        return answer.status, json.loads(answer.read())


def test_scenes_come_newest_first_with_their_times_and_pictures(server):
    status, form = get(server, "scenes.json")
    assert status == 200 and form["count"] == 6 and form["offset"] == 0
    assert [scene["id"] for scene in form["scenes"]] == [scene.id for scene in SCENES[::-1]]
    cat = form["scenes"][3]
    assert cat == {
        "id": milliseconds("14:02"),
        "begin": milliseconds("14:02") / 1000,
        "end": milliseconds("14:20") / 1000,
        "camera": "csi:0",
        "caption": "a cat on a desk",
        "confidence": 0.8,
        "unsure": False,
        "alternatives": [],
        "tags": [],
        "classes": [{"name": "cat", "score": 0.9}, {"name": "laptop", "score": 0.9}],
        "silence": None,
        "thumbnail": f"/history/thumbnails/{milliseconds('14:02')}.jpg",
        "can_compare": True,
    }
    assert form["scenes"][0]["silence"] == "too dark to tell"
    assert form["scenes"][0]["thumbnail"] is None
    assert ask(server, cat["thumbnail"])[2] == THUMBNAIL
    for number in (milliseconds("18:00"), 1, 2**63):
        assert ask(server, f"/history/thumbnails/{number}.jpg")[0] == 404


def test_scenes_are_filtered_and_paged(server):
    assert captions(server, **{"class": "cat"}) == ['=cats; "sleeping"', "a cat on a desk"]
    assert captions(server, **{"class": "ca"}) == []
    assert captions(server, word="desks", since="2026-11-28T10:00+00:00") == [
        *("an empty desk", "a cat on a desk", "an empty desk"),
    ]
    assert captions(server, confidence=0.5, camera="csi:0") == ["a cat on a desk"]
    assert captions(server, since=milliseconds("14:31") / 1000, until="2026-11-28T18:00:00Z") == [
        *("an empty desk", '=cats; "sleeping"'),  # Which ended at that very moment.
    ]
    assert captions(server, until="2026-11-28", tz="UTC") == ["an empty desk"]
    status, form = get(server, "scenes.json", limit=2, offset=5)
    assert (form["count"], len(form["scenes"])) == (6, 1)
    # Whatever stands in a word is a word.
    for word in ('"', "'; DROP TABLE scene", "desk OR cat", "caption : desk", "*", "NEAR(a b)"):
        assert captions(server, word=word) == [], word


def found(server, **values):
    """Return the captions of what a search finds, and whether there is more."""
    status, form = get(server, "search.json", **values)
    assert status == 200
    return [scene["caption"] for scene in form["scenes"]], form["has_more"]


def test_scenes_are_found_by_text_and_by_another_scenes_picture(server):
    desks = ["an empty desk"] * 3
    assert sorted(found(server, q="Desks!")[0]) == ["a cat on a desk", *desks]
    # The shorter caption is the better one.
    captions, has_more = found(server, q="a cat", limit=1)
    assert (captions, has_more) == (['=cats; "sleeping"'], True)
    assert found(server, q="a cat", limit=1, offset=1) == (["a cat on a desk"], False)
    assert found(server, q="desk", **{"class": "cat"}) == (["a cat on a desk"], False)
    assert found(server, q="zebra") == ([], False)
    form = get(server, "search.json", q="sleeping")[1]["scenes"][0]
    assert form["found_by"] == ["words"] and form["score"] > 0 and form["thumbnail"]
    form = get(server, "search.json", like=milliseconds("14:02"))[1]
    assert len(form["scenes"]) == 5 and not form["has_more"]
    scores = [scene["score"] for scene in form["scenes"]]
    assert scores == sorted(scores, reverse=True) and form["scenes"][0]["found_by"] == ["picture"]
    assert milliseconds("14:02") not in [scene["id"] for scene in form["scenes"]]
    form = get(server, "search.json", like=milliseconds("14:02"), q="desk")[1]
    assert form["scenes"][0]["found_by"] == ["words", "picture"]
    assert {scene["caption"] for scene in form["scenes"]} <= {"an empty desk", "a cat on a desk"}
    captions, _ = found(server, like=milliseconds("14:02"), until="2026-11-28", tz="UTC")
    assert captions == ["an empty desk"]


def test_days_and_hours_are_counted_where_the_reader_is(server):
    _, form = get(server, "days.json", until="2026-11-28", days=3, tz="UTC")
    assert [(day["day"], day["scenes"]) for day in form["days"]] == [
        *(("2026-11-26", 0), ("2026-11-27", 1), ("2026-11-28", 5)),
    ]
    hours = form["days"][2]["hours"]
    assert len(hours) == 24 and {hour: count for hour, count in enumerate(hours) if count} == {
        8: 1,
        14: 3,
        18: 1,
    }
    # In Auckland, 13 hours ahead, the afternoon of the 28th is the 29th.
    _, form = get(server, "days.json", until="2026-11-29", days=2, tz="Pacific/Auckland")
    assert [day["scenes"] for day in form["days"]] == [1, 4]
    assert form["days"][1]["hours"][3] == 3
    _, form = get(server, "days.json", until="2026-11-28", tz="UTC", **{"class": "cat"})
    assert len(form["days"]) == 28 and form["days"][-1]["scenes"] == 2


def test_the_digest_of_a_day(server):
    sentence = "5 scenes: mostly an empty desk; a cat between 14:02 and 14:31; "
    sentence += "a laptop between 14:02 and 14:20"
    status, form = get(server, "digest.json", **DAY)
    # 362 and 209 of 930 minutes.
    assert status == 200 and form["text"] == sentence and form["main_share"] == 0.614
    assert get(server, "digest.json", **DAY, format="text") == (200, f"{sentence}\n".encode())
    assert get(server, "digest.json", day="2026-11-26")[1]["text"] == "no scenes"


def test_when_classes_were_there_last(server):
    status, form = get(server, "last-seen.json", since="2026-11-01")
    assert status == 200 and form == {
        "classes": [
            {
                "name": "cat",
                "last_seen": milliseconds("14:31") / 1000,
                "scene": milliseconds("14:20"),
            },
            {
                "name": "laptop",
                "last_seen": milliseconds("14:20") / 1000,
                "scene": milliseconds("14:02"),
            },
        ],
        "cameras": ["csi:0", "usb:0"],
    }


def test_visits_are_a_calendar(server):
    status, body = get(server, "calendar.ics", since="2026-11-01", **{"class": "cat"})
    lines = body.decode().split("\r\n")
    assert status == 200 and lines[0] == "BEGIN:VCALENDAR" and lines[-2:] == ["END:VCALENDAR", ""]
    assert lines.count("BEGIN:VEVENT") == 1 and "SUMMARY:cat" in lines
    assert {"DTSTART:20261128T140200Z", "DTEND:20261128T143100Z"} <= set(lines)


def test_exports_have_all_scenes_the_oldest_first(server):
    status, headers, body = ask(server, "/history/export?format=csv&tz=UTC&since=2026-11-28")
    assert status == 200 and headers["Content-Type"] == "text/csv; charset=utf-8"
    assert headers["Content-Disposition"] == 'attachment; filename="picaption-2026-11-28.csv"'
    rows = list(csv.DictReader(io.StringIO(body.decode(), newline="")))
    assert [row["id"] for row in rows] == [str(scene.id) for scene in SCENES[1:]]
    assert rows[1]["begin"] == "2026-11-28T14:02:00+00:00" and rows[1]["unsure"] == "no"
    assert rows[1]["classes"] == "cat 0.90; laptop 0.90" and rows[1]["confidence"] == "0.800"
    # A spreadsheet would take it for a formula.
    assert rows[2]["caption"] == '\'=cats; "sleeping"' and rows[2]["unsure"] == "yes"
    assert rows[4]["caption"] == "" and rows[4]["silence"] == "too dark to tell"
    _, body = get(server, "export", format="jsonl", word="cats")
    lines = body.decode().splitlines()
    assert [json.loads(line)["caption"] for line in lines] == ["a cat on a desk", SCENES[3].caption]
    status, body = get(server, "export", format="zip")
    with zipfile.ZipFile(io.BytesIO(body)) as archive:
        assert archive.testzip() is None
        names = [f"thumbnails/{milliseconds(clock)}.jpg" for clock in ("14:02", "14:20")]
        assert archive.namelist() == ["scenes.jsonl", *names]
        assert len(archive.read("scenes.jsonl").splitlines()) == 6
        assert archive.read(names[0]) == THUMBNAIL


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        (
            "scenes.json",
            {"since": "soon"},
            "since is a time: seconds since the epoch, such as 2026",
        ),
        ("scenes.json", {"until": "-1"}, "until is a time"),
        ("scenes.json", {"since": "1e99"}, "since is a time"),
        ("scenes.json", {"since": "nan"}, "since is a time"),
        ("scenes.json", {"confidence": "2"}, "confidence is a number from 0 to 1"),
        ("scenes.json", {"limit": "201"}, "limit is a whole number from 1 to 200"),
        ("scenes.json", {"offset": "-1"}, "offset is a whole number from 0 to 1000000"),
        ("scenes.json", {"word": "a" * 201}, "word has at most 200 characters"),
        ("scenes.json", {"word": "a\0b"}, "word is one line without control characters"),
        ("search.json", {"q": "a\nb"}, "q is one line without control characters"),
        ("scenes.json", {"tz": "../../etc/passwd"}, "tz is not a time zone"),
        ("search.json", {}, "the query has q, a text, or like, the id of a scene, or both"),
        ("search.json", {"q": "cat", "like": "1"}, "there is no such scene"),
        ("search.json", {"like": "5"}, "there is no such scene"),
        ("search.json", {"q": "cat", "offset": "1001"}, "offset is a whole number from 0 to 1000"),
        ("days.json", {"days": "93"}, "days is a whole number from 1 to 92"),
        ("days.json", {"until": "0001-01-01"}, "until is a day such as 2026-11-28"),
        ("digest.json", {"day": "28.11.2026"}, "day is a day such as 2026-11-28"),
        ("digest.json", {"format": "html"}, "format is json or text"),
        ("export", {"format": "xls"}, "format is one of csv, jsonl, zip"),
    ],
)
def test_what_cannot_be_asked_is_one_line(server, name, values, message):
    status, form = get(server, name, **values)
    assert status == 400 and form["error"].startswith(message) and "\n" not in form["error"]


def test_a_span_is_deleted_and_nothing_else(own_server):
    span = {"since": "2026-11-28T14:02:01+00:00", "until": milliseconds("14:31") / 1000}
    assert post(own_server, span) == (200, {"deleted": 2})
    assert get(own_server, "scenes.json")[1]["count"] == 4
    assert captions(own_server, word="cats") == []
    ids = [milliseconds("8:00"), milliseconds("14:02"), 5]
    assert post(own_server, {"ids": ids}) == (200, {"deleted": 1})
    assert get(own_server, "scenes.json")[1]["count"] == 3


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[" * 50_000,
        [],
        {},
        {"ids": []},
        {"ids": [True]},
        {"ids": ["1"]},
        {"ids": [2**63]},
        {"ids": list(range(1001))},
        {"since": 1},
        {"since": 2, "until": 1},
        {"since": True, "until": 5},
        {"since": None, "until": 5},
        {"since": 1, "until": 2, "ids": [1]},
    ],
)
def test_a_deletion_that_is_not_clear_deletes_nothing(server, body):
    status, form = post(server, body)
    assert status == 400 and "\n" not in form["error"]
    assert get(server, "scenes.json")[1]["count"] == 6


def test_all_of_it_is_behind_the_token_and_what_other_sites_send_is_refused(serve, tmp_path):
    server = serve(token=TOKEN, history=str(make_history(tmp_path / "history.db")))
    for name in ("", "/scenes.json", "/export", f"/thumbnails/{milliseconds('14:02')}.jpg"):
        assert ask(server, f"/history{name}")[0] == 401
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert post(server, {"ids": [milliseconds("14:02")]}, **bearer, Origin="http://evil")[0] == 403
    assert post(server, {"ids": [milliseconds("14:02")]})[0] == 401
    assert get(server, "scenes.json", token=TOKEN)[1]["count"] == 6


def test_without_a_history_there_are_no_such_addresses_and_no_way_there(serve, server):
    page = serve()
    assert ask(page, "/history")[0] == ask(page, "/history/scenes.json")[0] == 404
    assert b'href="/history"' not in ask(page)[2] and b'href="/history"' in ask(server)[2]


def test_a_history_that_is_gone_or_damaged_is_one_line(serve, tmp_path):
    path = tmp_path / "history.db"
    page = serve(history=str(path))
    status, form = get(page, "scenes.json")
    assert status == 503 and form["error"].startswith(f"history: there is no file {path}")
    path.write_bytes(b"not a history" * 1000)
    for name in ("scenes.json", "export"):
        status, form = get(page, name)
        assert status == 503 and "is not a history of picaption" in form["error"]
    assert post(page, {"ids": [1]})[0] == 503 and path.read_bytes().startswith(b"not a history")


def test_a_question_that_takes_too_long_is_given_up(own_server, monkeypatch):
    monkeypatch.setattr(desk, "INSTRUCTIONS", 1)
    monkeypatch.setattr(desk, "QUESTION_SECONDS", 0.0)
    status, form = get(own_server, "scenes.json")
    assert status == 503 and form["error"] == "this takes too long; choose a shorter time"


def test_exports_are_few_at_once_and_end_with_their_clients(own_server, monkeypatch):
    reader_class = HistoryReader
    opened = []

    class CountingReader(reader_class):
        def __init__(self, path):
            super().__init__(path)
            opened.append(self)

        def walk(self, wanted):
            while True:
                yield from super().walk(wanted)

        def close(self):
            super().close()
            opened.remove(self)

    monkeypatch.setattr(desk, "HistoryReader", CountingReader)
    clients = []
    for _ in range(desk.MAX_EXPORTS):
        client = http.client.HTTPConnection("127.0.0.1", port_of(own_server), timeout=60)
        client.request("GET", "/history/export?format=jsonl")
        clients += [client, client.getresponse()]
    assert len(opened) == desk.MAX_EXPORTS
    status, form = get(own_server, "export")
    assert status == 429 and form["error"] == "too many requests at once; try again"
    # Others are answered meanwhile, and may write: nothing is held open.
    assert get(own_server, "scenes.json")[1]["count"] == 6
    assert post(own_server, {"ids": [milliseconds("14:02")]})[1] == {"deleted": 1}
    for client in clients:
        client.close()
    until(lambda: not opened)
