"""The login: the form that a browser gets in place of a refusal, and how often it may be tried."""

import base64
import logging
import math
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from urllib.parse import parse_qs

from starlette.responses import HTMLResponse, Response

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
        admit: Returns what lets a browser in that knows it.
        frame_ancestors: The origins whose pages may show the form in a frame, spaces between.
        clock: Returns the time in seconds.
    """

    def __init__(
        self,
        is_token: Callable[[str], bool],
        admit: Callable[[], Response],
        frame_ancestors: str = "",
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._is_token = is_token
        self._admit = admit
        self._frame_ancestors = frame_ancestors
        self._wrong = WrongTries(clock)

    def form(self, error: str = "", status: int = 401) -> Response:
        """Return the form.

        Args:
            error: Why it is shown again, as plain text without special characters.
            status: The HTTP status.
        """
        page = load_form(error, self._frame_ancestors)
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
        pause = self._wrong.pause(network)
        if pause:
            response = self.form(f"Too many wrong tokens: try again in {pause} s.", 429)
            response.headers["Retry-After"] = str(pause)
            return response
        token = _token_of(body)
        if self._is_token(token) or self._is_token(token.strip()):
            self._wrong.forget(network)
            return self._admit()
        self._wrong.add(network)
        return self.form(WRONG_TOKEN)


def load_form(error: str = "", frame_ancestors: str = "") -> Page:
    """Return the form, and its policy: nothing but its own style and script, and itself to send."""
    parts = {
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


def _token_of(body: bytes) -> str:
    """Return the form's token; empty if it has none or the body is no form."""
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=8, errors="strict")
    except ValueError:
        return ""
    return fields.get("token", [""])[0]
