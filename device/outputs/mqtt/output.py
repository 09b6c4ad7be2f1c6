"""Opens the connection to a broker: paho-mqtt is imported only for that."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

from ...config.settings import CameraConfig, Config, camera_configs
from ...sources.source import SourceStatus
from ..sink import ByCamera, OutputContext, RecognizedFrame, Sink, open_by_camera
from .publisher import CLOSE_SECONDS, MqttPublisher

SETTINGS = (
    *("mqtt", "mqtt_user", "mqtt_password", "mqtt_ca", "mqtt_topic", "mqtt_discovery"),
    *("mqtt_watch", "mqtt_images", "mqtt_commands", "mqtt_area", "event", "camera"),
    *("web", "host", "port"),
)


def open_output(config: Config, context: OutputContext) -> Sink | None:
    """Return an MqttPublisher if a broker is set; of several cameras one each, and the board's."""
    if not config.mqtt:
        return None
    if config.camera:
        return CameraPublishers(config, context)
    return MqttPublisher(config, context)


class CameraPublishers:
    """A publisher for each of several cameras, and one for the board, which has no frames.

    Each has a connection and a will of its own, so that each device is online or not by itself.

    Args:
        config: The settings of mqtt, with cameras.
        context: What is known of the run.

    Raises:
        PicaptionError: The settings make no sense, or paho-mqtt is missing.
    """

    def __init__(self, config: Config, context: OutputContext) -> None:
        topics = {own.camera_name: own.mqtt_topic for own in camera_configs(config)}
        cameras = {name: (topic, _get_status(context, name)) for name, topic in topics.items()}
        of_board = replace(config, mqtt_watch="", event=(), camera=(), mqtt_images=False)
        self._publishers: list[MqttPublisher] = []

        def open_camera(own: CameraConfig, context: OutputContext) -> Sink:
            publisher = MqttPublisher(own, context, board_topic=config.mqtt_topic)
            self._publishers.append(publisher)
            return publisher

        with ExitStack() as cleanup:
            board_publisher = MqttPublisher(of_board, context, cameras=cameras)
            cleanup.callback(board_publisher.close)
            self._publishers.append(board_publisher)
            self._by_camera: ByCamera = open_by_camera(config, context, open_camera)
            cleanup.pop_all()

    def write(self, recognized: RecognizedFrame) -> None:
        """Have the camera's publisher take its newest frame."""
        self._by_camera.write(recognized)

    def close(self) -> None:
        """Publish the newest states and "offline", which takes at most two seconds."""
        for publisher in self._publishers:
            publisher.stop()
        end = time.monotonic() + CLOSE_SECONDS
        for publisher in self._publishers:
            publisher.close(max(0.0, end - time.monotonic()))


def _get_status(context: OutputContext, name: str) -> Callable[[], SourceStatus]:
    """Return what returns what is known of a camera."""
    if context.camera_status is None:
        return partial(SourceStatus, name)
    return partial(context.camera_status, name)
