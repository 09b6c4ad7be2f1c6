"""Lets to the page only who may see it, and adds the headers that browsers heed."""

import hashlib
import hmac
import re

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...config.checks import is_loopback

#: How long a browser stays logged in.
LOGIN_SECONDS = 30 * 24 * 3600
#: How the paths begin that a token in the address opens by itself: programs that read them keep no
#: cookies. Elsewhere it becomes a cookie, so that it stays in no browser's history.
FEED_PATHS = ("/picture.mjpeg", "/events", "/thumbnails/")


class Guard:
    """An ASGI application around another one.

    Args:
        app: The application behind it.
        token: What a request must know, as ?token=, for which the page sets a cookie, or as
            "Authorization: Bearer". Without a token, only this computer's own names are answered.
        cookie: The cookie's name.
        policy: The Content-Security-Policy.

    Attributes:
        refusal: What requests are answered that are not admitted.
    """

    def __init__(self, app: ASGIApp, token: str, cookie: str, policy: str) -> None:
        self._app = app
        self._token = token
        self._key = _digest(token)
        self._cookie = cookie
        self._headers = {
            "Content-Security-Policy": policy,
            "X-Content-Type-Options": "nosniff",
            "X-Frame-Options": "DENY",
            "Referrer-Policy": "no-referrer",
            "Cross-Origin-Resource-Policy": "same-origin",
            "Cross-Origin-Opener-Policy": "same-origin",
            "Cache-Control": "no-store",
            # The door looks at a connection's first request only.
            "Connection": "close",
        }
        self.refusal = self._create_refusal()

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
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        return (
            self._is_token(request.query_params.get("token", ""))
            or (scheme.lower() == "bearer" and self._is_token(bearer.strip()))
            or self._is_key(request.cookies.get(self._cookie, ""))
        )

    def _intercept(self, request: Request) -> Response | None:
        """Return the response in place of the application's, or None."""
        if not self.admits(request.scope):
            return self.refusal
        is_page = not request.scope["path"].startswith(FEED_PATHS)
        if self._token and is_page and self._is_token(request.query_params.get("token", "")):
            return self._log_in(request)
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse(
                "only GET and HEAD are understood\n", 405, {"Allow": "GET, HEAD"}
            )
        return None

    def _log_in(self, request: Request) -> Response:
        """Return what sets the cookie, and leads to the address without the token."""
        response = RedirectResponse("/" + request.scope["path"].lstrip("/"), 303)
        response.set_cookie(
            self._cookie, self._key, max_age=LOGIN_SECONDS, httponly=True, samesite="strict"
        )
        return response

    def _create_refusal(self) -> Response:
        if not self._token:
            return PlainTextResponse("this page is shown at localhost only\n", 403, self._headers)
        return PlainTextResponse(
            "this page asks for its token: open it once as /?token=TOKEN\n",
            401,
            self._headers | {"WWW-Authenticate": "Bearer"},
        )

    def _is_token(self, text: str) -> bool:
        return self._is_key(_digest(text))

    def _is_key(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(), self._key.encode())


def _names_this_computer(request: Request) -> bool:
    """Return whether the request is for this computer's own names.

    Other names than these: a site whose name suddenly means this computer.
    """
    host = re.sub(r":\d*$", "", request.headers.get("host", "")).strip("[]").lower()
    return is_loopback(host)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
