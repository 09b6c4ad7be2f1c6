"""Scenes with a class, joined to visits."""

from picaption.device.history.reports.visits import Visit, find_visits
from picaption.device.history.scene import Scene
from picaption.device.recognition.result import Score


def scene(begin, end, **classes):
    scores = tuple(Score(name, score) for name, score in classes.items())
    return Scene(begin * 1000, end * 1000, classes=scores)


def test_scenes_with_a_class_that_follow_each_other_soon_are_one_visit():
    scenes = [
        scene(100, 200, cat=0.7, cup=0.9),
        scene(200, 210),
        scene(320, 330, cat=0.8),  # 120 s after the last one ended: still the same visit.
        scene(451, 460, cat=0.6),  # 121 s.
    ]
    assert list(find_visits(scenes)) == [
        Visit("cat", 100, 330, 0.8, 2),
        Visit("cup", 100, 200, 0.9),
        Visit("cat", 451, 460, 0.6),
    ]
    assert list(find_visits(scenes, gap=119)) == [
        Visit("cat", 100, 200, 0.7),
        Visit("cup", 100, 200, 0.9),
        Visit("cat", 320, 330, 0.8),
        Visit("cat", 451, 460, 0.6),
    ]


def test_a_scene_inside_another_one_of_a_second_camera_does_not_shorten_the_visit():
    assert list(find_visits([scene(0, 100, cat=0.7), scene(10, 20, cat=0.9)])) == [
        Visit("cat", 0, 100, 0.9, 2)
    ]
