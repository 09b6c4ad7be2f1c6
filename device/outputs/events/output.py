"""Opens the events, if the bundle has what they wait for."""

from ...config.checks import suggestion
from ...config.settings import Config, Event
from ...errors import PicaptionError
from ..sink import OutputContext, Sink
from .runner import EventRunner

SETTINGS = ("event",)


def open_output(config: Config, context: OutputContext) -> Sink | None:
    """Return an EventRunner if there are events."""
    if not config.event:
        return None
    for event in config.event:
        _check_subject(event, context)
    return EventRunner(config.event, context.bundle.label_threshold)


def _check_subject(event: Event, context: OutputContext) -> None:
    """Raise PicaptionError if the bundle has not what an event waits for: it would never come."""
    if context.labels is not None and event.class_ and event.class_ not in context.labels:
        advice = suggestion(event.class_, context.labels)
        raise PicaptionError(
            f"event: the bundle {context.bundle.name} has no class {event.class_!r}{advice}; "
            "picaption inspect lists its classes"
        )
    if context.words is None or not event.word:
        return
    for word in event.word.lower().split():
        if word not in context.words:
            raise PicaptionError(
                f"event: no caption of the bundle {context.bundle.name} has the word {word!r}"
                f"{suggestion(word, context.words)}; class = ... waits for a class"
            )
