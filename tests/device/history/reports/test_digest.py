"""The digest of a day, by values worked out by hand."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from picaption.device.history.reports.digest import day_span, make_digest, with_article
from picaption.device.history.scene import Scene
from picaption.device.recognition.result import Score

DAY = date(2026, 11, 28)


def at(clock, zone=UTC):
    """Return milliseconds since the epoch of a time on the day, such as "14:02"."""
    hours, minutes = map(int, clock.split(":"))
    return round(datetime(2026, 11, 28, hours, minutes, tzinfo=zone).timestamp() * 1000)


def scene(begin, end, caption="a cat", *classes, confidence=0.8, zone=UTC, **changes):
    scores = tuple(Score(name, 0.9) for name in classes)
    values = {"caption": caption, "confidence": confidence, "classes": scores}
    return Scene(at(begin, zone), at(end, zone), **values | changes)


def text(*scenes, zone=UTC):
    return make_digest(scenes, DAY, zone).text


def test_what_there_mostly_was_and_who_came():
    scenes = [
        scene("9:00", "14:02", "an empty desk"),
        scene("14:02", "14:20", "a cat on a desk", "cat"),
        scene("14:21", "14:31", "a cat", "cat", "keyboard"),
        scene("14:31", "18:00", "an empty desk"),
        scene("18:00", "18:00", "a dog", "dog"),
    ]
    digest = make_digest(scenes, DAY, UTC)
    assert digest.text == (
        "5 scenes: mostly an empty desk; a cat between 14:02 and 14:31; "
        "a keyboard between 14:21 and 14:31; a dog at 18:00"
    )
    # 302 and 209 of 302 + 18 + 10 + 209 minutes.
    assert digest.main_share == pytest.approx(511 / 539)
    form = digest.to_json()
    assert form["day"] == "2026-11-28" and form["scenes"] == 5 and form["main_share"] == 0.9481
    cat = form["classes"][0]
    assert (cat["name"], cat["scenes"], cat["count"]) == ("cat", 2, 1)
    assert (cat["begin"], cat["end"]) == (at("14:02") / 1000, at("14:31") / 1000)


def test_what_is_not_sure_is_not_said():
    assert text(scene("9:00", "17:00", "an empty desk", unsure=True)) == "1 scene"
    assert text(scene("9:00", "17:00", "an empty desk", confidence=None)) == "1 scene"
    # Half of the time is not most of it.
    halves = scene("9:00", "10:00", "a desk"), scene("10:00", "11:00", "a cat")
    assert text(*halves) == "2 scenes"
    # Nor is anything known of how long a scene was that has a single frame.
    assert text(scene("9:00", "9:00", "a desk")) == "1 scene"
    assert text() == "no scenes"


def test_a_night_is_said_to_be_dark():
    night = scene("0:00", "23:00", None, confidence=None, silence="too dark to tell")
    assert text(night, scene("23:00", "23:10")) == "2 scenes: mostly too dark to tell"


def test_what_is_in_most_scenes_is_no_visitor_and_many_visits_are_counted():
    scenes = [
        scene(f"{hour}:00", f"{hour}:05", "a desk", "laptop", *(["cat"] if hour % 2 else []))
        for hour in range(8, 17)
    ]
    assert text(*scenes) == (
        "9 scenes: mostly a desk; a laptop in 9 of them; a cat 4 times between 09:00 and 15:05"
    )
    assert text(*scenes[:4]) == (
        "4 scenes: mostly a desk; a laptop in 4 of them; "
        "a cat between 09:00 and 09:05 and between 11:00 and 11:05"
    )


def test_of_many_classes_the_last_ones_are_listed_only():
    names = ["ant", "bee", "cow", "doe", "eel", "fox", *"pqrktyvwx"]
    scenes = [scene(f"{hour}:00", f"{hour}:00", None, name) for hour, name in enumerate(names)]
    assert text(*scenes[:7]).endswith("an eel at 04:00; a fox at 05:00; also a p")
    assert text(*scenes[:8]).endswith("a fox at 05:00; also a p and a q")
    assert text(*scenes).endswith("; also a p, a q, a r, a k, a t, a y, a v and 2 more")


def test_a_scene_that_lasts_over_midnight_is_cut_and_times_are_local():
    zone = ZoneInfo("Asia/Kathmandu")  # 5:45 ahead of UTC.
    begin, end = day_span(DAY, zone)
    assert (begin, end) == (at("0:00", zone) / 1000, at("0:00", zone) / 1000 + 86_400)
    hour = 3_600_000
    over_midnight = Scene(
        at("0:00", zone) - hour, at("0:00", zone) + hour, classes=(Score("cat", 0.9),)
    )
    before = Scene(at("0:00", zone) - 2 * hour, at("0:00", zone) - hour)
    digest = make_digest([before, over_midnight], DAY, zone)
    assert digest.text == "1 scene: a cat between 00:00 and 01:00"
    # A day on which clocks are set back has 25 hours.
    begin, end = day_span(date(2026, 10, 25), ZoneInfo("Europe/Berlin"))
    assert end - begin == 25 * 3600


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("cat", "a cat"),
        ("apple", "an apple"),
        ("scissors", "scissors"),
        ("bus", "a bus"),
        ("wine glass", "a wine glass"),
        ("my mug", "my mug"),
        ("Tom", "Tom"),
        ("猫", "猫"),
        ("", ""),
    ],
)
def test_articles(name, expected):
    assert with_article(name) == expected
