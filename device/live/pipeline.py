"""From settings to the parts of a live run: at its start and, for those whose settings have changed, while it goes on."""

import logging
import os
from contextlib import ExitStack
from dataclasses import replace

from ..bundle.bundle import default_bundle
from ..errors import PicaptionError
from ..outputs.jsonl import JsonLines
from ..outputs.terminal import Terminal
from ..outputs.video import Video
from ..outputs.window import Window
from ..recognition.recognizer import open_recognizer
from ..recognition.scene import SceneTracker
from ..sources.capture import ReconnectingReader, SequentialReader
from ..sources.controls import Controls
from ..sources.sources import ImageFiles, RotatedSource, open_source

log = logging.getLogger("picaption")

READER = (
    "source",
    "size",
    "camera_fps",
    "rotate",
    "hflip",
    "vflip",
    "focus",
    "exposure",
    "gain",
    "stall",
    "retries",
)
RECOGNIZER = ("bundle", "threads")
#: The settings that each sink is made of.
SINKS = {
    "json": ("json", "json_megabytes", "json_files"),
    "video": ("video", "video_megabytes"),
    "web": ("web", "host", "port", "token"),
    "mqtt": ("mqtt", "mqtt_user", "mqtt_password", "mqtt_ca", "mqtt_topic", "mqtt_discovery"),
    "events": ("event",),
    "window": ("window",),
    "terminal": ("quiet", "json"),
}


class Pipeline:
    """What `config` asks for, opened: `reader`, `recognize`, `sinks`, `max_fps` and `power_save`, as picaption.device.live.loop.run takes
    them, and the source's `name`.

    Raises PicaptionError where a part cannot be had; what was open by then is closed.
    """

    def __init__(self, config, open_source=None, open_recognizer=None):
        self._open_source = open_source or open_configured_source
        self._make_recognizer = open_recognizer or open_configured_recognizer
        self.config, self.reader, self.sinks = config, None, {}
        try:
            self._open_recognizer(config)
            self._open_reader(config)
            for name in SINKS:
                self._open_sink(name, config)
        except BaseException:
            self.close()
            raise
        self._use(config)

    def reload(self, config):
        """Change to `config`, and to the bundle as its file is now.

        Only what has changed is replaced. What cannot be had anew is logged, and stays as it was.
        """
        before = self.config
        if _differ(before, config, RECOGNIZER) or self._bundle != _state(config):
            config = self._replace("the bundle", RECOGNIZER, config, self._open_recognizer)
        if _differ(before, config, READER):
            self.reader.close()
            config = self._replace("the source", READER, config, self._open_reader)
        for name, settings in SINKS.items():
            if _differ(before, config, settings):
                if name in self.sinks:
                    self.sinks.pop(name).close()
                config = self._replace(
                    name, settings, config, lambda wanted, name=name: self._open_sink(name, wanted)
                )
        self._use(config)

    def close(self):
        """Close everything, whatever fails; raises what closing raised."""
        with ExitStack() as stack:
            for sink in self.sinks.values():
                stack.callback(sink.close)
            if self.reader:
                stack.callback(self.reader.close)

    def _replace(self, what, settings, config, opening):
        """Return `config` after opening what it asks for, or, where that fails, with those settings as they were before."""
        try:
            opening(config)
            return config
        except (PicaptionError, OSError) as error:
            log.error("%s; %s stays as it was", error, what)
        config = replace(config, **{name: getattr(self.config, name) for name in settings})
        if opening != self._open_recognizer:
            opening(config)
        return config

    def _use(self, config):
        self.config, self.max_fps, self.power_save = config, config.max_fps, config.power_save
        watched = (self.recognizer, self._stills, config.caption_every, config.smoothing)
        if watched != getattr(self, "_watched", None):
            self._watched = watched
            # Each picture of a folder is a scene of its own.
            self.recognize = (
                self.recognizer
                if self._stills
                else SceneTracker(self.recognizer, config.caption_every, config.smoothing)
            )

    def _open_recognizer(self, config):
        self.recognizer, self._bundle = (
            self._make_recognizer(config),
            _state(config),
        )

    def _open_reader(self, config):
        source = self._open_source(config.source, config)
        self.name, self._stills = source.name, isinstance(source, ImageFiles)
        self._rate = None if source.live else source.rate
        # A camera that was found is looked for again where it was: the demo does not take its place.
        spec = source.name if config.source == "auto" else config.source
        self.reader = (
            ReconnectingReader(
                source, lambda: self._open_source(spec, config), config.stall, config.retries
            )
            if source.live
            else SequentialReader(source)
        )

    def _open_sink(self, name, config):
        sink = getattr(self, f"_{name}")(config)
        if sink is not None:
            self.sinks[name] = sink

    def _json(self, config):
        return (
            JsonLines(config.json, config.json_megabytes * 1e6, config.json_files)
            if config.json
            else None
        )

    def _video(self, config):
        return (
            Video(config.video, self._rate, config.video_megabytes * 1e6) if config.video else None
        )

    def _window(self, config):
        return Window() if config.window else None

    def _terminal(self, config):
        return None if config.quiet or config.json == "-" else Terminal()

    def _web(self, config):
        if not config.web:
            return None
        from ..outputs.web import WebServer

        return WebServer(
            config.host, config.port, config.token, self.recognizer.model.metadata.name
        )

    def _mqtt(self, config):
        if not config.mqtt:
            return None
        from ..outputs.mqtt import MqttPublisher

        return MqttPublisher(config)

    def _events(self, config):
        if not config.event:
            return None
        from ..outputs.events import EventRunner

        return EventRunner(config.event, self.recognizer.model.metadata.label_threshold)


def open_configured_recognizer(config):
    """Return the Recognizer that `config` asks for."""
    return open_recognizer(config.bundle or None, config.threads or None)


def open_configured_source(spec, config):
    """Return the source that `spec` names, controlled and turned as `config` asks for (see picaption.device.sources.sources.open_source)."""
    width, height = map(int, config.size.split("x"))
    source = open_source(
        spec,
        Controls(
            (width, height),
            config.camera_fps or None,
            config.focus,
            config.exposure or None,
            config.gain or None,
        ),
    )
    turned = config.rotate or config.hflip or config.vflip
    return RotatedSource(source, config.rotate, config.hflip, config.vflip) if turned else source


def _differ(one, other, settings):
    return any(getattr(one, name) != getattr(other, name) for name in settings)


def _state(config):
    """Return what tells whether the bundle's file is another one than before; None where there is none."""
    try:
        status = os.stat(config.bundle or default_bundle())
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
