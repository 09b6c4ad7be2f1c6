"""What is published over one connection, and what is listened to."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ... import board
from ...config.settings import Config
from ...sources.source import SourceStatus
from ..control import LoopControl, LoopState
from ..jpeg import encode_jpeg
from .components import sighting_topic
from .connection import Connection, Message
from .homeassistant import Offered, Share, discovery
from .intake import FrameNews, Headline, Intake
from .orders import Orders
from .versions import BundleFile, program_version

#: Seconds between two readings of the board's figures, and of what lies on the disk.
FIGURES_SECONDS = 5.0
#: An event that could not be published for so long is old news.
EVENT_SECONDS = 10.0
#: While something is there, the time of its last frame is published so often.
SIGHTING_SECONDS = 60.0


@dataclass(frozen=True)
class Surroundings:
    """What a session publishes beside frames.

    Attributes:
        config: The settings of mqtt.
        identity: What this machine and topic are called.
        intake: What the loop's frames leave.
        offered: What Home Assistant gets to know of.
        heartbeat: Seconds after which a state is published though nothing has changed.
        control: The loop's; None: it cannot be asked for anything.
        orders: What passes orders to it.
        source_status: Returns what is known of the source; None: nothing is.
        installed_version: The version of picaption that runs.
        cameras: Of a board of several cameras, each one's topic, and what is known of it now, by
            name.
    """

    config: Config
    identity: str
    intake: Intake
    offered: Callable[[], Offered]
    heartbeat: float
    control: LoopControl | None
    orders: Orders | None
    source_status: Callable[[], SourceStatus] | None
    installed_version: str
    cameras: Mapping[str, tuple[str, Callable[[], SourceStatus]]] = field(default_factory=dict)


class Session:
    """Publishes over one connection what has changed since it was last published over it.

    Args:
        surroundings: What there is to publish.
        listens: Whether to listen to Home Assistant's start and to orders.

    Attributes:
        topics: What is to be subscribed to.
    """

    def __init__(self, surroundings: Surroundings, listens: bool) -> None:
        self._around = surroundings
        config = surroundings.config
        self._share = surroundings.offered().share
        self._birth_topic = f"{config.mqtt_discovery}/status" if config.mqtt_discovery else ""
        self._order_prefix = f"{config.mqtt_topic}/set/"
        topics = []
        if self._birth_topic:
            topics.append(self._birth_topic)
        if surroundings.orders and config.mqtt_commands:
            topics.append(f"{self._order_prefix}+")
        self.topics = tuple(topics) if listens else ()
        self._introduces = bool(config.mqtt_discovery)
        self._bundles: tuple[str, ...] | None = None
        self._frame: FrameNews | None = None
        self._headline: Headline | None = None
        self._published_at = 0.0
        self._receipts: dict[str, Any] = {}
        self._texts: dict[str, str] = {}
        self._sightings: dict[str, float] = {}
        self._imaged: Any = None
        self._figures: dict[str, Any] = {}
        self._figures_at = float("-inf")
        self._bundle_file: BundleFile | None = None

    def receive(self, message: Message) -> None:
        """Take a message from the broker, which may be anyone's."""
        if message.topic == self._birth_topic:
            # Home Assistant has started again, and asks who is there.
            if message.payload == b"online":
                self._introduces = True
        elif self._around.orders and message.topic.startswith(self._order_prefix):
            self._around.orders.receive(message.topic.removeprefix(self._order_prefix), message)

    def publish(self, connection: Connection) -> None:
        """Publish whatever there is reason to publish."""
        now = time.monotonic()
        if now - self._figures_at >= FIGURES_SECONDS:
            self._figures_at = now
            self._read_figures()
            if self._share is not Share.CAMERA:
                self._publish_updates(connection)
            if self._share is Share.BOARD:
                self._publish_board(connection)
        self._publish_discovery(connection)
        self._publish_control(connection)
        self._publish_events(connection, now)
        self._publish_frame(connection, now)
        self._publish_sightings(connection)
        self._publish_image(connection)

    def leave(self, connection: Connection) -> Any:
        """Publish "offline", and take the picture from the broker; return the receipt."""
        if self._imaged is not None:
            connection.publish("picture", b"")
        self._publish_sightings(connection, is_last=True)
        return connection.publish("status", "offline")

    def _read_figures(self) -> None:
        throttling = board.throttled() if self._around.offered().is_throttling_known else None
        self._figures = {
            "temperature": board.temperature(),
            "throttled": list(throttling.now) if throttling else [],
        }

    def _publish_discovery(self, connection: Connection) -> None:
        if not self._around.config.mqtt_discovery:
            return
        offered = self._around.offered()
        if not self._introduces and offered.bundles == self._bundles:
            return
        self._introduces = False
        self._bundles = tuple(offered.bundles)
        topic, payload = discovery(self._around.config, self._around.identity, offered)
        connection.publish_to(topic, json.dumps(payload))
        self._around.intake.is_image_due = True

    def _publish_control(self, connection: Connection) -> None:
        control = self._around.control
        if control is None:
            return
        orders = self._around.orders
        looked_for = orders.looked_for if orders else None
        name = looked_for.name if looked_for else ""
        text = _control_json(control.state, name)
        if self._share is Share.CAMERA:
            text = json.dumps({"look_for": name})
        self._publish_text(connection, "control", text)

    def _publish_board(self, connection: Connection) -> None:
        """Publish the board's figures, and what is known of its cameras."""
        cameras = []
        for name, (topic, get_status) in self._around.cameras.items():
            status = get_status()
            cameras.append(
                {
                    "name": name,
                    "topic": topic,
                    "source": status.name,
                    "problem": status.problem,
                    "failures": status.failures,
                }
            )
        self._publish_text(connection, "state", json.dumps({**self._figures, "cameras": cameras}))

    def _publish_updates(self, connection: Connection) -> None:
        installed = self._around.installed_version
        newest = program_version() or installed
        self._publish_text(connection, "update/program", _update_json(installed, newest))
        control = self._around.control
        if control is None or not control.state.path:
            return
        if self._bundle_file is None or self._bundle_file.path != control.state.path:
            self._bundle_file = BundleFile(control.state.path)
        file = self._bundle_file
        self._publish_text(
            connection, "update/bundle", _update_json(file.loaded, file.newest() or file.loaded)
        )

    def _publish_events(self, connection: Connection, now: float) -> None:
        events = self._around.intake.events
        while events and self._is_confirmed("event"):
            news = events.popleft()
            if now - news.at < EVENT_SECONDS:
                self._receipts["event"] = connection.publish(
                    "event", json.dumps(news.to_json()), retain=False
                )

    def _publish_frame(self, connection: Connection, now: float) -> None:
        """Publish the newest state if there is reason to."""
        frame = self._around.intake.newest
        if frame is None or frame is self._frame or not self._is_confirmed("state"):
            return
        is_quiet = now - self._published_at < self._around.heartbeat
        if self._headline is not None and frame.headline == self._headline and is_quiet:
            return
        status = self._around.source_status() if self._around.source_status else None
        payload = {
            **frame.recognized.json(),
            "fps": frame.fps,
            **self._figures,
            "source": status.name if status else None,
            "watched": [watched._asdict() for watched in frame.headline.watched],
        }
        self._receipts["state"] = connection.publish("state", json.dumps(payload))
        if self._headline is None or frame.headline.text != self._headline.text:
            connection.publish("caption", frame.headline.text)
        self._frame = frame
        self._headline = frame.headline
        self._published_at = now

    def _publish_sightings(self, connection: Connection, is_last: bool = False) -> None:
        """Publish when what is watched was last there: at its end, and seldom in between.

        Args:
            connection: The connection.
            is_last: Whether nothing is published after this.
        """
        frame = self._around.intake.newest
        if frame is None:
            return
        for watched in frame.headline.watched:
            seconds = self._around.intake.sightings.get(watched.name)
            before = self._sightings.get(watched.name)
            if seconds is None or seconds == before:
                continue
            topic = sighting_topic(watched.name)
            is_due = before is None or abs(seconds - before) >= SIGHTING_SECONDS
            if is_last or ((is_due or not watched.present) and self._is_confirmed(topic)):
                self._sightings[watched.name] = seconds
                payload = json.dumps({"name": watched.name, "last_seen": _timestamp(seconds)})
                self._receipts[topic] = connection.publish(topic, payload)

    def _publish_image(self, connection: Connection) -> None:
        imaged = self._around.intake.imaged
        if imaged is None or imaged is self._imaged or not self._is_confirmed("picture"):
            return
        self._imaged = imaged
        self._receipts["picture"] = connection.publish("picture", encode_jpeg(imaged.image))

    def _publish_text(self, connection: Connection, name: str, text: str) -> None:
        """Publish a text if it differs from the last one there."""
        if self._texts.get(name) != text and self._is_confirmed(name):
            self._texts[name] = text
            self._receipts[name] = connection.publish(name, text)

    def _is_confirmed(self, name: str) -> bool:
        """Return whether the broker has confirmed what was last published below that name."""
        receipt = self._receipts.get(name)
        return receipt is None or receipt.is_published()


def _control_json(state: LoopState, looked_for: str) -> str:
    return json.dumps(
        {
            "paused": state.paused,
            "max_fps": state.max_fps,
            "bundle": state.bundle,
            "bundles": state.bundles,
            "look_for": looked_for,
        }
    )


def _update_json(installed: str, newest: str) -> str:
    return json.dumps({"installed_version": installed, "latest_version": newest})


def _timestamp(seconds: float) -> str:
    """Return a time in seconds since the epoch as Home Assistant reads it."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
