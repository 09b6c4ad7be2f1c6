"""From settings to a live run's parts: opened at its start, and replaced when settings change."""

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..addresses import without_secrets
from ..atomic import require_other_files
from ..bundle.bundle import default_bundle
from ..config.settings import Config, camera_configs, expand_home
from ..errors import CameraError, PicaptionError
from ..log import one_line
from ..outputs.control import LoopControl
from ..outputs.events.output import missing_subject
from ..outputs.outputs import OUTPUTS, OutputModule
from ..outputs.sink import OutputContext, Sink
from ..recognition.recognizer import Recognizer, open_recognizer
from ..recognition.scene import SceneTracker
from ..signing.policy import require_signatures
from ..sources.capture import ReconnectingReader, SequentialReader, open_reader
from ..sources.controls import Controls
from ..sources.rotated import CroppedSource, RotatedSource
from ..sources.source import Reader, Source, SourceStatus
from ..sources.sources import SOURCES, SourceModule, open_source
from ..teaching.live_bundle import live_bundle, taught_folder
from .cameras import Cameras

logger = logging.getLogger(__name__)

#: The settings that the reader is made of: a change of one reopens it.
READER_SETTINGS = (
    "source",
    "camera",
    "size",
    "camera_fps",
    "rotate",
    "hflip",
    "vflip",
    "crop",
    "focus",
    "exposure",
    "gain",
    "stall",
    "retries",
)
#: Bundles that outputs may choose from at most, and characters of a name of one.
MAX_BUNDLES = 100
MAX_NAME = 64
#: The settings that the recognizer is made of.
RECOGNIZER_SETTINGS = ("bundle", "threads")
#: Those that say which bundles may be opened: they hold also where the bundle cannot be replaced.
TRUST_SETTINGS = ("public_keys",)


def open_configured_source(
    spec: str, config: Config, sources: Sequence[SourceModule] = SOURCES
) -> Source:
    """Return the source that `spec` names, controlled, rotated and cropped as `config` asks.

    Args:
        spec: See picaption.device.sources.sources.open_source.
        config: The settings.
        sources: The modules that open sources.
    """
    width, height = map(int, config.size.split("x"))
    controls = Controls(
        (width, height),
        config.camera_fps or None,
        config.focus,
        config.exposure or None,
        config.gain or None,
    )
    source = open_source(spec, controls, sources)
    if config.rotate or config.hflip or config.vflip:
        source = RotatedSource(source, config.rotate, config.hflip, config.vflip)
    if config.crop:
        source = CroppedSource(source, config.crop)
    return source


def open_configured_recognizer(config: Config) -> Recognizer:
    """Return the Recognizer that `config` asks for; of a signed bundle, where that is required."""
    own = [taught_folder(config.teach)] if config.teach else []
    require_signatures(config.public_keys, own)
    return open_recognizer(config.bundle or None, config.threads or None)


class Pipeline:
    """What a Config asks for, opened: see picaption.device.live.loop.run, which drives it.

    Args:
        config: The settings.
        open_source: Returns the source that a text names, as a Config asks.
        open_recognizer: Returns the recognizer that a Config asks for.
        outputs: The modules of the outputs by name, in the order in which they take a frame.

    Attributes:
        config: The settings that hold.
        name: What to call the source in messages.
        model: What its camera calls itself; empty where it does not say.
        reader: Where frames come from.
        recognizer: Recognises single frames.
        recognize: Recognises the next frame: the recognizer, or a SceneTracker around it.
        trackers: Recognises the next frame of each of several cameras, by the cameras' names.
        sinks: Where recognised frames go, by name.
        max_fps: Frames per second at most; 0: no limit.
        power_save: Whether to look rarely at a scene that does not change.
        control: What outputs ask of the loop, and what holds in it.

    Raises:
        PicaptionError: A part cannot be opened; those that were open by then are closed.
    """

    config: Config
    name: str
    model: str
    reader: Reader
    recognizer: Recognizer
    recognize: Recognizer | SceneTracker
    trackers: dict[str, SceneTracker]
    sinks: dict[str, Sink]
    max_fps: float
    power_save: bool
    control: LoopControl

    def __init__(
        self,
        config: Config,
        open_source: Callable[[str, Config], Source] = open_configured_source,
        open_recognizer: Callable[[Config], Recognizer] = open_configured_recognizer,
        outputs: Mapping[str, OutputModule] = OUTPUTS,
    ) -> None:
        config = _checked(config)
        self.sinks = {}
        self.trackers = {}
        self._cameras: Cameras | None = None
        self._source_opener = open_source
        self._recognizer_opener = open_recognizer
        self._outputs = outputs
        self._tracking: tuple[Any, ...] | None = None
        self.control = LoopControl()
        self._settings_bundle = config.bundle
        self._rolled_out = ""
        self._bundle_problem = ""
        with ExitStack() as cleanup:
            config = self._open_first_recognizer(config)
            self._report_bundle(config)
            self._open_reader(config)
            cleanup.callback(self.close)
            for output in outputs:
                self._open_sink(output, config)
            cleanup.pop_all()
        self._apply(config)

    def reload(self, config: Config) -> None:
        """Change to `config`, and to the bundle as its file is now.

        Only what has changed is replaced. A part that cannot be opened stays as it was, which is
        logged. What outputs have asked for no longer holds, but for a pause.
        """
        config = expand_home(config)
        self._settings_bundle = config.bundle
        self.change(with_taught_bundle(replace(config, bundle=self._configured_bundle)))

    def change(self, config: Config) -> None:
        """Change as `reload` does, to settings that outputs have asked for."""
        config = _checked(config)
        before = self.config
        bundle_changed = self._bundle_state != _bundle_state(config)
        if bundle_changed or _differ(before, config, (*RECOGNIZER_SETTINGS, *TRUST_SETTINGS)):
            config = self._replace_recognizer(config)
        if _differ(before, config, READER_SETTINGS):
            config = self._replace_reader(config)
        for output, module in self._outputs.items():
            if _differ(before, config, module.SETTINGS):
                config = self._replace_sink(output, config)
        self._apply(config)

    def use_taught(self) -> None:
        """Change to the bundle that is live in the folder `teach`; to the settings' if none is."""
        self._bundle_problem = ""
        self.change(with_taught_bundle(replace(self.config, bundle=self._configured_bundle)))
        count = self.control.state.taught_changes + 1
        self.report(taught_changes=count, taught_problem=self._bundle_problem)

    def use_rolled_out(self, path: str) -> None:
        """Have the bundle at a path stand for the settings' one; that itself, if it is empty."""
        before = self._rolled_out
        self._rolled_out = path
        self._bundle_problem = ""
        self.change(with_taught_bundle(replace(self.config, bundle=self._configured_bundle)))
        if self._bundle_problem:
            self._rolled_out = before
        self.report(
            rolled_out_changes=self.control.state.rolled_out_changes + 1,
            rolled_out_problem=self._bundle_problem,
            settings_path=str(self._configured_bundle or default_bundle()),
        )

    def limit_rate(self, max_fps: float) -> None:
        """Recognise at most so many frames a second from now on; 0: no limit."""
        self._apply(replace(self.config, max_fps=max_fps))

    def report(self, **changes: Any) -> None:
        """Let the outputs know of a changed LoopState."""
        self.control.state = replace(self.control.state, **changes)

    def find_bundles(self) -> dict[str, str]:
        """Return the paths of the bundles that can be chosen, by name."""
        return find_bundles(self.config.bundles, self._configured_bundle)

    def close(self) -> None:
        """Close everything, whatever fails; raises what closing raised."""
        with ExitStack() as stack:
            for sink in self.sinks.values():
                stack.callback(sink.close)
            stack.callback(self.reader.close)

    @property
    def _configured_bundle(self) -> str:
        """The bundle that was rolled out, or else the settings' one; empty: the shipped one."""
        return self._rolled_out or self._settings_bundle

    def source_status(self) -> SourceStatus:
        """Return what is known of the source now; any thread may ask."""
        return SourceStatus(
            one_line(self.name),
            one_line(self.model),
            self.reader.problem,
            self.reader.failures,
            self.control.state.paused,
        )

    def camera_status(self, name: str) -> SourceStatus:
        """Return what is known of one of several cameras now; any thread may ask."""
        cameras = self._cameras
        if cameras is None or name not in cameras.reader.readers:
            return SourceStatus(name, problem="the settings have no such camera any more")
        return cameras.status(name, self.control.state.paused)

    def _apply(self, config: Config) -> None:
        """Take over the settings that need no part to be opened."""
        self.config = config
        self.max_fps = config.max_fps
        self.power_save = config.power_save
        self.report(
            max_fps=config.max_fps, settings_path=str(self._configured_bundle or default_bundle())
        )
        if isinstance(self.reader, SequentialReader):
            self.reader.prepare = self.recognizer.prepare
        clock = time.monotonic
        if isinstance(self.reader, SequentialReader):
            clock = self.reader.clock
        names = tuple(camera.name for camera in config.camera)
        times = (config.caption_every, config.smoothing)
        tracking = (self.recognizer, self._stills, *times, clock, names)
        if tracking == self._tracking:
            return
        self._tracking = tracking
        self.trackers = {name: SceneTracker(self.recognizer, *times, clock) for name in names}
        if self._stills or names:
            self.recognize = self.recognizer
        else:
            self.recognize = SceneTracker(self.recognizer, *times, clock)

    # Parts: each `_open_` opens one as a Config asks, each `_replace_` does so in place of an open
    # one and returns the Config that holds then.

    def _open_first_recognizer(self, config: Config) -> Config:
        """Open the taught bundle, where there is one that can be used, or the settings' own."""
        taught = with_taught_bundle(config)
        if taught.bundle != config.bundle:
            try:
                self._open_recognizer(taught)
                return taught
            except (PicaptionError, OSError) as error:
                logger.error("%s; what was taught is not used", error)
        self._open_recognizer(config)
        return config

    def _open_recognizer(self, config: Config) -> None:
        self.recognizer = self._recognizer_opener(config)
        self._bundle_state = _bundle_state(config)

    def _replace_recognizer(self, config: Config) -> Config:
        try:
            self._open_recognizer(config)
        except (PicaptionError, OSError) as error:
            self._bundle_problem = one_line(str(error))
            return self._revert(config, RECOGNIZER_SETTINGS, "the bundle", error)
        self._report_bundle(config)
        state = self.control.state
        events = [event for own in [config, *camera_configs(config)] for event in own.event]
        for event in dict.fromkeys(events):
            fault = missing_subject(event, state.labels, state.words)
            if fault:
                logger.warning("event: it never happens: the bundle %s has %s", state.bundle, fault)
        return config

    def _report_bundle(self, config: Config) -> None:
        path = str(config.bundle or default_bundle())
        names = find_bundles(config.bundles, self._configured_bundle)
        name = next((name for name in names if names[name] == path), Path(path).stem)
        model = self.recognizer.model
        words = model.vocabulary.word_ids if model.vocabulary else {}
        self.report(
            bundle=name,
            bundles=tuple(names),
            path=path,
            name=model.metadata.name,
            settings_path=str(self._configured_bundle or default_bundle()),
            is_taught=bool(config.teach) and path == str(live_bundle(config.teach)),
            labels=tuple(model.labels),
            words=words,
        )

    def _open_reader(self, config: Config, is_patient: bool = True) -> None:
        """Open the source; a camera that does not open yet is tried again if `is_patient`."""
        self._cameras = None
        if config.camera:
            self._open_cameras(config)
            return
        try:
            source = self._source_opener(config.source, config)
        except CameraError as error:
            if not is_patient:
                raise
            self._open_later(config, error)
            return
        self._note_source(source)
        self._stills = source.stills
        self._rate = None if source.live else source.rate
        # A camera that "auto" found is reopened as itself: the demo does not replace it.
        spec = source.name if config.source == "auto" else config.source

        def reopen() -> Source:
            return self._note_source(self._source_opener(spec, config))

        self.reader = open_reader(source, reopen, config.stall, config.retries)

    def _open_cameras(self, config: Config) -> None:
        self._cameras = Cameras(config, self._source_opener)
        self.reader = self._cameras.reader
        self.name = ", ".join(camera.name for camera in config.camera)
        self.model = ""
        self._stills = False
        self._rate = None

    def _open_later(self, config: Config, error: CameraError) -> None:
        def reopen() -> Source:
            return self._note_source(self._source_opener(config.source, config))

        self.reader = ReconnectingReader(error, reopen, config.stall, config.retries)
        self.name = without_secrets(config.source)
        self.model = ""
        self._stills = False
        self._rate = None

    def _note_source(self, source: Source) -> Source:
        """Note how an opened source is called: another camera may be there than before."""
        self.name = source.name
        self.model = getattr(source, "model", "")
        return source

    def _replace_reader(self, config: Config) -> Config:
        self.reader.close()
        try:
            self._open_reader(config, is_patient=False)
        except (PicaptionError, OSError) as error:
            config = self._revert(config, READER_SETTINGS, "the source", error)
            self._open_reader(config)
        return config

    def _open_sink(self, output: str, config: Config) -> None:
        model = self.recognizer.model
        words = model.vocabulary.word_ids if model.vocabulary else {}
        context = OutputContext(
            self._rate,
            model.metadata,
            model.labels,
            words,
            self.source_status,
            self.control,
            self.camera_status,
        )
        sink = self._outputs[output].open_output(config, context)
        if sink is not None:
            self.sinks[output] = sink

    def _replace_sink(self, output: str, config: Config) -> Config:
        if output in self.sinks:
            self.sinks.pop(output).close()
        try:
            self._open_sink(output, config)
        except (PicaptionError, OSError) as error:
            config = self._revert(config, self._outputs[output].SETTINGS, output, error)
            self._reopen_sink(output, config)
        return config

    def _reopen_sink(self, output: str, config: Config) -> None:
        """Open an output with its settings of before; with a new bundle even that may fail."""
        try:
            self._open_sink(output, config)
        except (PicaptionError, OSError) as error:
            logger.error("%s; there is no output %s until its settings change", error, output)

    def _revert(
        self, config: Config, settings: Sequence[str], part: str, error: Exception
    ) -> Config:
        """Log that a part cannot be opened; return `config` with its settings as they were."""
        logger.error("%s; %s stays as it was", error, part)
        return replace(config, **{name: getattr(self.config, name) for name in settings})


def with_taught_bundle(config: Config) -> Config:
    """Return the settings with the bundle of the folder `teach`, if one is live there."""
    if not config.teach:
        return config
    path = live_bundle(config.teach)
    return replace(config, bundle=str(path)) if path.is_file() else config


def _checked(config: Config) -> Config:
    """Return the settings with whole paths.

    Raises:
        PicaptionError: An output is an input, or there is no folder of bundles.
    """
    config = expand_home(config)
    if config.bundles and not os.path.isdir(config.bundles):
        raise PicaptionError(f"bundles: there is no folder {config.bundles}; check the path")
    if config.bundles and not os.access(config.bundles, os.R_OK | os.X_OK):
        raise PicaptionError(f"bundles: {config.bundles} cannot be read; check its permissions")
    inputs = {
        name: getattr(config, name) for name in ("source", "bundle", "mqtt_ca", "public_keys")
    }
    inputs["bundle"] = inputs["bundle"] or default_bundle()
    for camera in camera_configs(config):
        inputs[f"camera {camera.camera_name}"] = camera.source
    require_other_files({"--json": config.json, "--video": config.video}, inputs)
    return config


def find_bundles(folder: str, configured: str) -> dict[str, str]:
    """Return the paths of the bundles that outputs may choose, by name, sorted.

    Args:
        folder: The folder that holds them; empty: there is no choice.
        configured: The bundle of the settings, which is one of them; empty: the shipped one.
    """
    if not folder:
        return {}
    paths = {path.stem: str(path) for path in sorted(Path(folder).glob("*.tflite"))}
    configured = str(configured or default_bundle())
    if configured not in paths.values():
        paths.setdefault(Path(configured).stem, configured)
    names = [name for name in paths if name.isprintable() and len(name) <= MAX_NAME]
    return {name: paths[name] for name in sorted(names)[:MAX_BUNDLES]}


def _differ(left: Config, right: Config, settings: Sequence[str]) -> bool:
    return any(getattr(left, name) != getattr(right, name) for name in settings)


def _bundle_state(config: Config) -> tuple[int, int, int] | None:
    """Return what differs when the bundle's file is replaced; None if there is none."""
    try:
        status = os.stat(config.bundle or default_bundle())
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns
