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


class Guard:
    """An ASGI application around another one.

    Args:
        app: The application behind it.
        token: What a request must know, as ?token= once, which sets a cookie, or as
            "Authorization: Bearer". Without a token, only this computer's own names are answered.
        cookie: The cookie's name.
        policy: The Content-Security-Policy.
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
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""

        async def send_secured(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        answer = self._intercept(Request(scope)) or self._app
        await answer(scope, receive, send_secured)

    def _intercept(self, request: Request) -> Response | None:
        """Return the response in place of the application's, or None."""
        refusal = self._login(request) if self._token else _check_host(request)
        if refusal:
            return refusal
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse(
                "only GET and HEAD are understood\n", 405, {"Allow": "GET, HEAD"}
            )
        return None

    def _login(self, request: Request) -> Response | None:
        """Return None for who is logged in; set the cookie for who knows the token."""
        if self._is_token(request.query_params.get("token", "")):
            response = RedirectResponse("/" + request.scope["path"].lstrip("/"), 303)
            response.set_cookie(
                self._cookie, self._key, max_age=LOGIN_SECONDS, httponly=True, samesite="strict"
            )
            return response
        scheme, _, bearer = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(bearer.strip()):
            return None
        if self._is_key(request.cookies.get(self._cookie, "")):
            return None
        return PlainTextResponse(
            "this page asks for its token: open it once as /?token=TOKEN\n",
            401,
            {"WWW-Authenticate": "Bearer"},
        )

    def _is_token(self, text: str) -> bool:
        return self._is_key(_digest(text))

    def _is_key(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(), self._key.encode())


def _check_host(request: Request) -> Response | None:
    """Refuse other names than this computer's: a site whose name suddenly means this computer."""
    host = re.sub(r":\d*$", "", request.headers.get("host", "")).strip("[]").lower()
    if is_loopback(host):
        return None
    return PlainTextResponse("this page is shown at localhost only\n", 403)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
