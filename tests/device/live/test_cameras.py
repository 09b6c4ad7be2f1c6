"""Several cameras through the loop: each has its scenes, its outputs know it, and one may fail."""

import json
import threading
from dataclasses import replace

import jsonschema
import pytest

from picaption.device.config.camera import Camera
from picaption.device.config.settings import Config
from picaption.device.errors import CameraError, PicaptionError
from picaption.device.live.loop import Pace, run
from picaption.device.live.pipeline import Pipeline
from picaption.device.live.requests import RequestHandler
from picaption.device.recognition.recognizer import Recognizer
from tests.device.fakes.servers import wait_for
from tests.device.fakes.standins import Counter
from tests.device.live.test_pipeline import SCHEMA
from tests.tiny import TINY_BUNDLE

CAMERAS = (
    Camera("door", {"source": "one", "crop": (0.0, 0.0, 0.5, 1.0)}),
    Camera("yard", {"source": "two"}),
)
CONFIG = Config(camera=CAMERAS, quiet=True, threads=1, json_every=0.0, bundle=str(TINY_BUNDLE))


@pytest.fixture(scope="module")
def recognizer():
    return Recognizer(TINY_BUNDLE, 1)


@pytest.fixture
def opened(recognizer):
    """Opens the pipeline of a Config over sources by name, and closes it in the end."""
    made = []

    def opened(config, **sources):
        def open_source(spec, own):
            source = sources[spec]
            if isinstance(source, Exception):
                raise source
            return source() if callable(source) else source

        made.append(Pipeline(config, open_source, lambda own: recognizer))
        return made[-1]

    yield opened
    for pipeline in made:
        pipeline.close()


def test_every_line_says_which_camera_and_numbers_and_scenes_are_of_each(opened, tmp_path):
    path = tmp_path / "lines.jsonl"
    pipeline = opened(
        replace(CONFIG, json=str(path)),
        one=Counter(10**9, pause=0.01),
        two=Counter(10**9, pause=0.01),
    )
    assert pipeline.name == "door, yard"
    run(pipeline, frames=8)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    for line in lines:
        jsonschema.validate(line, SCHEMA)
    assert {line["camera_name"] for line in lines} == {"door", "yard"}
    for name in ("door", "yard"):
        own = [line for line in lines if line["camera_name"] == name]
        assert own[0]["scene"] == 1 or own[0]["silence"]
        numbers = [line["frame"] for line in own]
        assert numbers == sorted(set(numbers))
    # The recognizer is shared, the scenes are not.
    assert pipeline.trackers["door"] is not pipeline.trackers["yard"]


def test_one_camera_has_no_name_in_its_lines(opened, tmp_path):
    path = tmp_path / "lines.jsonl"
    config = replace(CONFIG, camera=(), source="one", json=str(path))
    run(opened(config, one=Counter(2, live=False)))
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == 2 and not any("camera_name" in line for line in lines)


def test_the_status_of_each_camera(opened):
    def gone():
        raise CameraError("there is no camera at two; plug it in")

    pipeline = opened(CONFIG, one=Counter(10**9, pause=0.01), two=gone)
    door = pipeline.camera_status("door")
    yard = pipeline.camera_status("yard")
    assert (door.name, door.problem, door.failures) == ("counter", None, 0)
    assert (yard.name, yard.problem, yard.failures) == (
        "two",
        "there is no camera at two; plug it in",
        1,
    )
    assert run(pipeline, frames=3).frames == 3
    assert pipeline.source_status().problem is None
    assert pipeline.camera_status("attic").problem


def test_a_camera_that_takes_long_to_open_is_not_waited_for(opened, monkeypatch):
    monkeypatch.setattr("picaption.device.live.cameras.OPENING_SECONDS", 0.1)
    let_go = threading.Event()

    def late():
        let_go.wait(20)
        return Counter(10**9, pause=0.01)

    pipeline = opened(CONFIG, one=Counter(10**9, pause=0.01), two=late)
    assert run(pipeline, frames=3).frames == 3
    let_go.set()
    assert wait_for(lambda: pipeline.reader.readers["yard"].has_news)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (PicaptionError("there is no source two"), "camera 'yard': there is no source two"),
        (Counter(3, live=False), "camera 'yard': counter is not a camera"),
    ],
)
def test_what_is_no_camera_is_refused_and_the_others_are_closed(opened, source, message):
    other = Counter(10**9, pause=0.01)
    with pytest.raises(PicaptionError, match=message):
        opened(CONFIG, one=other, two=source)
    assert wait_for(lambda: other.closed == 1)


def test_a_file_with_a_rate_is_played_and_the_run_ends_with_the_last_one(opened):
    files = [Counter(5, live=False), Counter(3, live=False)]
    for file in files:
        file.rate = 50.0
    summary = run(opened(CONFIG, one=files[0], two=files[1]))
    # At 50 frames a second a frame may be skipped, but not the last ones.
    assert 2 <= summary.frames <= 8 and summary.seconds >= 0.04


def test_a_crop_is_what_is_recognised_and_written(opened):
    class Shapes:
        def __init__(self):
            self.shapes = {}

        def write(self, recognized):
            self.shapes[recognized.recognition.camera_name] = recognized.image.shape

        def close(self):
            pass

    shapes = Shapes()
    # The opener of the sources is what crops: here it is the real one's part.
    from picaption.device.sources.rotated import CroppedSource

    pipeline = opened(
        CONFIG,
        one=lambda: CroppedSource(Counter(10**9, pause=0.01, shape=(48, 64)), (0, 0, 0.5, 1)),
        two=Counter(10**9, pause=0.01, shape=(48, 64)),
    )
    pipeline.sinks["shapes"] = shapes
    run(pipeline, frames=4)
    assert shapes.shapes == {"door": (48, 32, 3), "yard": (48, 64, 3)}


def test_a_caption_is_asked_of_one_camera_or_of_all_also_while_paused(opened):
    pipeline = opened(CONFIG, one=Counter(10**9, pause=0.01), two=Counter(10**9, pause=0.01))
    requests = RequestHandler(pipeline)
    pipeline.control.pause(True)
    pipeline.control.caption_now("yard")
    run(pipeline, seconds=0.5, requests=requests)
    assert pipeline.control.state.camera_captions == {"yard": 1}
    pipeline.control.caption_now()
    run(pipeline, seconds=1.0, requests=requests)
    assert pipeline.control.state.camera_captions == {"yard": 2, "door": 1}
    assert pipeline.control.state.captions == 3
    assert run(pipeline, seconds=0.3, requests=requests).frames == 0


def test_cameras_are_changed_by_a_reload_and_a_mistake_leaves_them(opened, caplog):
    sources = {name: (lambda: Counter(10**9, pause=0.01)) for name in ("one", "two", "three")}
    pipeline = opened(CONFIG, **sources, wrong=PicaptionError("there is no source wrong"))
    reader = pipeline.reader
    third = Camera("attic", {"source": "three"})
    pipeline.reload(replace(pipeline.config, camera=(*CAMERAS, third)))
    assert list(pipeline.trackers) == ["door", "yard", "attic"]
    assert pipeline.reader is not reader
    wrong = Camera("attic", {"source": "wrong"})
    pipeline.reload(replace(pipeline.config, camera=(wrong,)))
    assert list(pipeline.trackers) == ["door", "yard", "attic"]
    assert "the source stays as it was" in caplog.text
    pipeline.reload(replace(pipeline.config, camera=(), source="one"))
    assert pipeline.trackers == {} and pipeline.name == "counter"
    assert run(pipeline, frames=2).frames == 2


def test_power_is_saved_once_nothing_changes_before_any_camera():
    pace = Pace(calm_seconds=10.0, idle_seconds=1.0)
    for now, scene, name in ((0.0, 1, "a"), (1.0, 1, "b"), (9.0, 2, "b")):
        pace.schedule_next(now, scene, 0.0, True, name)
    pace.schedule_next(18.0, 1, 0.0, True, "a")
    assert pace.due == 18.0  # Only 9 s since b's scene began.
    pace.schedule_next(19.0, 2, 0.0, True, "b")
    assert pace.due == 19.5  # Each of the two is looked at once a second.
    pace.schedule_next(19.5, 3, 0.0, True, "a")
    assert pace.due == 19.5
