"""The login: the form that a browser gets in place of a refusal, and how often it may be tried."""

import base64
import logging
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from urllib.parse import parse_qs

from starlette.responses import HTMLResponse, Response

from .navigation import LIVE_PATH, TITLES
from .page import NO_FRAMES, Page, fill, hash_source, join_parts, read_part

logger = logging.getLogger(__name__)

#: Where the form is sent.
LOGIN_PATH = "/login"
#: After so many wrong tokens within that time, a network waits until the first is so long ago.
MAX_WRONG = 5
WRONG_SECONDS = 60.0
#: The wrong tokens of so many networks are remembered.
MAX_NETWORKS = 1024

WRONG_TOKEN = "That is not the token."


class WrongTries:
    """Counts the wrong tokens of every network.

    Args:
        clock: Returns the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # The one that was wrong last is the last one.
        self._times: OrderedDict[str, deque[float]] = OrderedDict()

    def pause(self, network: str) -> int:
        """Return how many seconds a network has to wait for its next try; 0: none."""
        times = self._times.get(network)
        if times is None or len(times) < MAX_WRONG:
            return 0
        return max(0, math.ceil(times[0] + WRONG_SECONDS - self._clock()))

    def add(self, network: str) -> None:
        """Count a wrong token."""
        times = self._times.setdefault(network, deque(maxlen=MAX_WRONG))
        times.append(self._clock())
        self._times.move_to_end(network)
        if len(self._times) > MAX_NETWORKS:
            self._times.popitem(last=False)
        if self.pause(network):
            logger.warning(
                "the page: %d wrong tokens from %s; its login waits for %d s",
                *(MAX_WRONG, network, self.pause(network)),
            )

    def forget(self, network: str) -> None:
        """Forget the wrong tokens of a network that knows the right one."""
        self._times.pop(network, None)


class Login:
    """The login.

    Args:
        is_token: Whether a text is the token.
        admit: Returns what lets a browser in that knows it, and leads to the page at a path.
        frame_ancestors: The origins whose pages may show the form in a frame, spaces between.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        is_token: Callable[[str], bool],
        admit: Callable[[str], Response],
        frame_ancestors: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._is_token = is_token
        self._admit = admit
        self._frame_ancestors = frame_ancestors
        self._wrong = WrongTries(clock)

    def form(self, error: str = "", status: int = 401, path: str = LIVE_PATH) -> Response:
        """Return the form.

        Args:
            error: Why it is shown again, as plain text without special characters.
            status: The HTTP status.
            path: The page that it leads to; what is none leads to the live one.
        """
        page = load_form(error, self._frame_ancestors, path)
        headers = {
            "Content-Security-Policy": page.policy,
            # Otherwise browsers would not say where the form was sent from.
            "Referrer-Policy": "same-origin",
        }
        if status == 401:
            headers["WWW-Authenticate"] = "Bearer"
        return HTMLResponse(page.html, status, headers)

    def answer(self, body: bytes, network: str) -> Response:
        """Return what a browser gets that has sent the form.

        Args:
            body: The form, as browsers encode it by default.
            network: The address of the browser, or what its network has in common.
        """
        token, path = _fields_of(body)
        pause = self._wrong.pause(network)
        if pause:
            response = self.form(f"Too many wrong tokens: try again in {pause} s.", 429, path)
            response.headers["Retry-After"] = str(pause)
            return response
        if self._is_token(token) or self._is_token(token.strip()):
            self._wrong.forget(network)
            return self._admit(path)
        self._wrong.add(network)
        return self.form(WRONG_TOKEN, path=path)


def load_form(error: str = "", frame_ancestors: str = "", path: str = LIVE_PATH) -> Page:
    """Return the form, and its policy: nothing but its own style and script, and itself to send."""
    parts = {
        "page": _known_page(path),
        "style": join_parts(("colours.css", "login.css")),
        "icon": base64.b64encode(read_part("favicon.svg").encode()).decode(),
        "error": f'<p class="error" id="error" role="alert">{error}</p>' if error else "",
        "invalid": 'aria-invalid="true" aria-describedby="error"' if error else "",
    }
    text = fill(read_part("login.html"), parts)
    return Page(
        text,
        "default-src 'none'; "
        f"script-src {hash_source(text, 'script')}; "
        f"style-src {hash_source(text, 'style')}; "
        "img-src data:; connect-src 'self'; base-uri 'none'; form-action 'self'; "
        f"frame-ancestors {frame_ancestors or NO_FRAMES}",
    )


def _fields_of(body: bytes) -> tuple[str, str]:
    """Return the form's token, empty if it has none or the body is no form, and its page's path."""
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=8, errors="strict")
    except ValueError:
        return "", LIVE_PATH
    return fields.get("token", [""])[0], _known_page(fields.get("page", [""])[0])


def _known_page(path: str) -> str:
    """Return the path of a page; of anything else, such as another site's address, the live one."""
    return path if path in TITLES else LIVE_PATH
