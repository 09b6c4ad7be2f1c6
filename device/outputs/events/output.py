"""Opens the events, if the bundle has what they wait for."""

from collections.abc import Mapping, Sequence

from ...config.settings import Config, Event, camera_configs
from ...errors import PicaptionError
from ..sink import OutputContext, Sink
from ..subjects import missing_class, missing_word
from .runner import EventRunner
from .snapshots import SnapshotFolder

SETTINGS = ("event", "camera", "quiet_hours", "snapshots", "snapshots_days", "snapshots_megabytes")


def open_output(config: Config, context: OutputContext) -> Sink | None:
    """Return an EventRunner if there are events."""
    events = config.event
    by_camera = None
    if config.camera:
        by_camera = {own.camera_name: own.event for own in camera_configs(config)}
        events = tuple(event for own in by_camera.values() for event in own)
    if not events:
        return None
    for event in events:
        fault = missing_subject(event, context.labels, context.words)
        if fault:
            raise PicaptionError(
                f"event: the bundle {context.bundle.name} has {fault}; picaption inspect lists "
                "its classes and words"
            )
    snapshots = None
    if any(event.save for event in events):
        snapshots = SnapshotFolder(
            config.snapshots, config.snapshots_days, config.snapshots_megabytes
        )
    return EventRunner(
        events,
        context.bundle.label_threshold,
        quiet_hours=config.quiet_hours,
        snapshots=snapshots,
        by_camera=by_camera,
    )


def missing_subject(
    event: Event, labels: Sequence[str] | None, words: Mapping[str, int] | None
) -> str:
    """Return why what an event waits for would never come, "" if it may.

    Args:
        event: The event.
        labels: The classes of the bundle; None: not known.
        words: The words that captions may have; None: not known.
    """
    if event.class_:
        return missing_class(event.class_, labels)
    if event.word:
        return missing_word(event.word, words)
    return ""
