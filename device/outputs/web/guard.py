"""Lets in only who may ask, and adds the headers that browsers heed."""

import hashlib
import hmac
import re

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...config.checks import is_loopback
from .errors import error_response

#: How long a browser stays logged in.
LOGIN_SECONDS = 30 * 24 * 3600
#: The page, whose token in the address becomes a cookie, so that it stays in no browser's history.
#: Everything else is for programs, which keep no cookies.
PAGE_PATH = "/"
#: What is answered without the token: whether the server is there, and the login.
OPEN_PATHS = ("/healthz", "/login")
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
        is_framed: Whether pages of others may show this one in a frame. A browser keeps no cookie
            of a frame, so the token stays in the page's address.
    """

    def __init__(
        self, app: ASGIApp, token: str, cookie: str, policy: str, is_framed: bool = False
    ) -> None:
        self._app = app
        self._token = token
        self._key = _digest(token)
        self._cookie = cookie
        self._is_framed = is_framed
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
        if not is_framed:
            self._headers["X-Frame-Options"] = "DENY"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        answer = self._intercept(Request(scope)) or self._app
        await answer(scope, receive, send_secured)

    def admits(self, scope: Scope) -> bool:
        """Return whether a request knows the token; without one, whether it names this computer."""
        request = Request(scope)
        if not self._token:
            return _names_this_computer(request)
        return scope["path"] in OPEN_PATHS or self._knows_token(request)

    def refuse(self, scope: Scope) -> Response:
        """Return what a request is answered that is not admitted."""
        path = scope["path"]
        if not self._token:
            message = (
                "without a token, only localhost is answered, by that name or 127.0.0.1; "
                "set a token to be asked by another name"
            )
            return error_response(path, 403, message, self._headers)
        message = (
            "the token is missing or wrong: send it as Authorization: Bearer TOKEN, or as ?token="
        )
        if path == PAGE_PATH:
            message = "this page asks for its token: open it once as /?token=TOKEN"
        headers = self._headers | {"WWW-Authenticate": "Bearer"}
        return error_response(path, 401, message, headers)

    def _intercept(self, request: Request) -> Response | None:
        """Return the response in place of the application's, or None."""
        if not self.admits(request.scope):
            return self.refuse(request.scope)
        if request.method not in SAFE_METHODS and not _is_same_origin(request):
            message = "what another site's page sends is not taken"
            return error_response(request.scope["path"], 403, message)
        is_login = (
            request.scope["path"] == PAGE_PATH and request.method == "GET" and not self._is_framed
        )
        if is_login and self._token and self._is_token(request.query_params.get("token", "")):
            return self._log_in()
        return None

    def _knows_token(self, request: Request) -> bool:
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        return (
            self._is_token(request.query_params.get("token", ""))
            or (scheme.lower() == "bearer" and self._is_token(bearer.strip()))
            or self._is_key(request.cookies.get(self._cookie, ""))
        )

    def _log_in(self) -> Response:
        """Return what sets the cookie, and leads to the page without the token."""
        response = RedirectResponse(PAGE_PATH, 303)
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
