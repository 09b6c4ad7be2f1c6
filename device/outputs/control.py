"""What outputs ask of the live loop from their own threads, and what it says of itself."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

#: The most frames a second that can be asked for.
MAX_RATE = 240.0


@dataclass(frozen=True)
class Requests:
    """What is asked of the loop; None and False ask for nothing.

    Attributes:
        paused: Whether no frame is recognised from now on.
        max_fps: Frames a second at most; 0: no limit.
        bundle: Which of the LoopState's `bundles` recognises from now on.
        caption: Caption the next frame, whether the scene is new or not.
        caption_camera: Of which of several cameras; None: of every one.
        reload_bundle: Read the bundle's file again.
        use_taught: Look again which bundle is live in the folder of the setting `teach`.
        rolled_out: The path of the bundle that stands for the settings' one; empty: that itself.
    """

    paused: bool | None = None
    max_fps: float | None = None
    bundle: str | None = None
    caption: bool = False
    caption_camera: str | None = None
    reload_bundle: bool = False
    use_taught: bool = False
    rolled_out: str | None = None


@dataclass(frozen=True)
class LoopState:
    """What holds in the live loop.

    Attributes:
        paused: Whether no frame is recognised.
        max_fps: Frames a second at most; 0: no limit.
        bundle: What the bundle in use is called among `bundles`.
        bundles: The bundles that can be chosen, by name.
        path: The file of the bundle in use.
        name: What that bundle calls itself.
        settings_path: The file of the settings' bundle.
        is_taught: Whether the one in use was taught in the folder of the setting `teach`.
        taught_changes: How often it was looked again which bundle is live there.
        taught_problem: Why that one was not opened the last time; empty if it was.
        rolled_out_changes: How often a bundle was asked for that was rolled out.
        rolled_out_problem: Why that one was not opened the last time; empty if it was.
        labels: Its classes.
        words: The words that its captions may have.
        captions: How many captions that were asked for have been made.
        camera_captions: The same of each of several cameras, by name.
    """

    paused: bool = False
    max_fps: float = 0.0
    bundle: str = ""
    bundles: tuple[str, ...] = ()
    path: str = ""
    name: str = ""
    settings_path: str = ""
    is_taught: bool = False
    taught_changes: int = 0
    taught_problem: str = ""
    rolled_out_changes: int = 0
    rolled_out_problem: str = ""
    labels: Sequence[str] = ()
    words: Mapping[str, int] = field(default_factory=dict)
    captions: int = 0
    camera_captions: Mapping[str, int] = field(default_factory=dict)


_NOTHING = Requests()


class LoopControl:
    """Carries requests to the loop and its state back; any thread may use it.

    Of several requests of one sort, the loop gets the last.

    Attributes:
        state: What holds.
    """

    def __init__(self) -> None:
        self.state = LoopState()
        self._lock = threading.Lock()
        self._requests = _NOTHING

    def pause(self, paused: bool) -> None:
        """Ask that no frame is recognised, or that frames are again."""
        with self._lock:
            self._requests = replace(self._requests, paused=paused)

    def limit_rate(self, max_fps: float) -> None:
        """Ask for so many frames a second at most; 0: no limit.

        Raises:
            ValueError: It is not from 0 to MAX_RATE.
        """
        if not 0 <= max_fps <= MAX_RATE:
            raise ValueError(f"it is not from 0 to {MAX_RATE:g}")
        with self._lock:
            self._requests = replace(self._requests, max_fps=max_fps)

    def caption_now(self, camera_name: str | None = None) -> None:
        """Ask for a new caption, of the next frame; of one frame if the loop is paused.

        Args:
            camera_name: Of which of several cameras; None: of every one.
        """
        with self._lock:
            self._requests = replace(self._requests, caption=True, caption_camera=camera_name)

    def choose_bundle(self, name: str) -> None:
        """Ask for another bundle.

        Raises:
            ValueError: The state's `bundles` have no such name.
        """
        if name not in self.state.bundles:
            raise ValueError("there is no such bundle")
        with self._lock:
            self._requests = replace(self._requests, bundle=name)

    def reload_bundle(self) -> None:
        """Ask that the bundle's file is read again."""
        with self._lock:
            self._requests = replace(self._requests, reload_bundle=True)

    def use_taught(self) -> None:
        """Ask for the bundle that is live in the folder `teach`; for the settings' if none is."""
        with self._lock:
            self._requests = replace(self._requests, use_taught=True)

    def use_rolled_out(self, path: str) -> None:
        """Ask for the bundle at a path in place of the settings' one; for that if it is empty."""
        with self._lock:
            self._requests = replace(self._requests, rolled_out=path)

    def take(self) -> Requests | None:
        """Return what was asked since the last call; None: nothing."""
        if self._requests is _NOTHING:  # The loop asks between all frames.
            return None
        with self._lock:
            requests = self._requests
            self._requests = _NOTHING
        return requests
