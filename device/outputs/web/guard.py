"""Lets in only who may ask, and adds the headers that browsers heed."""

import hashlib
import hmac
import re
from urllib.parse import parse_qsl

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...config.checks import is_loopback
from .errors import error_response
from .pages.login import LOGIN_PATH, Login
from .pages.navigation import LIVE_PATH, TITLES

#: How long a browser stays logged in.
LOGIN_SECONDS = 30 * 24 * 3600
#: The pages, whose token in the address becomes a cookie, so that it stays in no browser's history.
#: Everything else is for programs, which keep no cookies.
PAGE_PATHS = frozenset(TITLES)
#: What is answered without the token: whether the server is there. The door answers the login.
OPEN_PATHS = ("/healthz",)
#: Methods that change nothing.
SAFE_METHODS = ("GET", "HEAD")


class Guard:
    """An ASGI application around another one.

    Args:
        app: The application behind it.
        token: What a request must know, as "Authorization: Bearer", as ?token=, or by the cookie
            that the page sets. Without a token, only this computer's own names are answered.
        cookie: The cookie's name.
        policy: The Content-Security-Policy.
        frame_ancestors: The origins whose pages may show this one in a frame, spaces between. A
            browser keeps no cookie of a frame, so the token then stays in the page's address.

    Attributes:
        forms: What answers posts that need no token, by their path, as a Door takes them.
    """

    def __init__(
        self, app: ASGIApp, token: str, cookie: str, policy: str, frame_ancestors: str = ""
    ) -> None:
        self._app = app
        self._token = token
        self._key = _digest(token)
        self._cookie = cookie
        self._is_framed = bool(frame_ancestors)
        self._login = Login(self._is_token, self._admit_browser, frame_ancestors)
        self.forms = {LOGIN_PATH: self._log_in} if token else {}
        self._headers = {
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cache-Control": "no-store",
            # The door looks at a connection's first request only.
            "Connection": "close",
        }
        if not self._is_framed:
            self._headers["X-Frame-Options"] = "DENY"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add_headers(MutableHeaders(scope=message))
            await send(message)

        answer = self._intercept(Request(scope)) or self._app
        await answer(scope, receive, send_secured)

    def admits(self, scope: Scope) -> bool:
        """Return whether a request knows the token; without one, whether it names this computer."""
        if not self._token:
            return _names_this_computer(Request(scope))
        return scope["path"] in OPEN_PATHS or self._knows_token(scope)

    def refuse(self, scope: Scope) -> Response:
        """Return what a request is answered that is not admitted."""
        path = scope["path"]
        if not self._token:
            message = (
                "without a token, only localhost is answered, by that name or 127.0.0.1; "
                "set a token to be asked by another name"
            )
            return error_response(path, 403, message, self._headers)
        if path in (*PAGE_PATHS, LOGIN_PATH) and _reads_html(Request(scope)):
            return self._secured(self._login.form(path=path))
        message = (
            "the token is missing or wrong: send it as Authorization: Bearer TOKEN, or as ?token="
        )
        if path in PAGE_PATHS:
            message = f"this page asks for its token: open it once as {path}?token=TOKEN"
        headers = self._headers | {"WWW-Authenticate": "Bearer"}
        return error_response(path, 401, message, headers)

    def _intercept(self, request: Request) -> Response | None:
        """Return the response in place of the application's, or None."""
        if not self.admits(request.scope):
            return self.refuse(request.scope)
        if request.method not in SAFE_METHODS and not _is_same_origin(request):
            message = "what another site's page sends is not taken"
            return error_response(request.scope["path"], 403, message)
        path = request.scope["path"]
        if self._token and request.method == "GET" and not self._is_framed:
            if path in PAGE_PATHS and self._is_token(request.query_params.get("token", "")):
                return self._admit_browser(path)
            if path == LOGIN_PATH:
                return RedirectResponse(LIVE_PATH, 303)
        return None

    def _knows_token(self, scope: Scope) -> bool:
        # What starlette makes of a request takes four times as long, and whoever knows no token
        # should cost little.
        query = dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True))
        headers = dict(reversed(scope["headers"]))
        authorization = headers.get(b"authorization", b"").decode("latin-1")
        scheme, _, bearer = authorization.partition(" ")
        return (
            self._is_token(query.get("token", ""))
            or (scheme.lower() == "bearer" and self._is_token(bearer.strip()))
            or (b"cookie" in headers and self._knows_key(Request(scope)))
        )

    def _knows_key(self, request: Request) -> bool:
        return self._is_key(request.cookies.get(self._cookie, ""))

    def _log_in(self, scope: Scope, body: bytes, network: str) -> Response:
        """Return the answer to the form of the login; see Login.answer."""
        if not _is_same_origin(Request(scope)):
            return self._secured(self._login.form("That form was another site's.", 403))
        return self._secured(self._login.answer(body, network))

    def _secured(self, response: Response) -> Response:
        self._add_headers(response.headers)
        return response

    def _add_headers(self, headers: MutableHeaders) -> None:
        """Add what browsers heed, where the answer does not say otherwise itself."""
        for name, value in self._headers.items():
            headers.setdefault(name, value)

    def _admit_browser(self, path: str = LIVE_PATH) -> Response:
        """Return what sets the cookie, and leads to a page without the token."""
        response = RedirectResponse(path, 303)
        response.set_cookie(
            self._cookie, self._key, max_age=LOGIN_SECONDS, httponly=True, samesite="strict"
        )
        return response

    def _is_token(self, text: str) -> bool:
        return self._is_key(_digest(text))

    def _is_key(self, text: str) -> bool:
        """Compare in a time that tells nothing of how much is right."""
        return hmac.compare_digest(text.encode(), self._key.encode())


def _names_this_computer(request: Request) -> bool:
    """Return whether the request is for this computer's own names.

    Other names than these: a site whose name suddenly means this computer.
    """
    host = re.sub(r":\d*$", "", request.headers.get("host", "")).strip("[]").lower()
    return is_loopback(host)


def _reads_html(request: Request) -> bool:
    """Return whether a browser asks for a page, and no program for anything."""
    is_reading = request.method in SAFE_METHODS or request.scope["path"] == LOGIN_PATH
    return is_reading and "text/html" in request.headers.get("accept", "")


def _is_same_origin(request: Request) -> bool:
    """Return whether no page of another site sends the request.

    Browsers say with every request that is no GET where its page is from. Other programs say
    nothing, and are no danger: they have no cookies of the user's.
    """
    site = request.headers.get("sec-fetch-site", "none").lower()
    if site not in ("same-origin", "none"):
        return False
    origin = request.headers.get("origin")
    if origin is None:
        return True
    scheme, _, host = origin.lower().partition("://")
    return scheme in ("http", "https") and host == request.headers.get("host", "").lower()


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
