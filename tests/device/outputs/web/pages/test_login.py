"""The form of the login: who gets it, what it opens, and how often it may be tried."""

from urllib.parse import quote

import pytest
from starlette.responses import PlainTextResponse

from picaption.device.outputs.web.pages.login import (
    MAX_NETWORKS,
    MAX_WRONG,
    WRONG_SECONDS,
    Login,
    WrongTries,
    load_form,
)
from tests.device.fakes.web_client import TOKEN, ask, log_in, port_of

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


def login(clock):
    return Login("right".__eq__, lambda path: PlainTextResponse(path, 303), clock=clock)


def test_a_browser_gets_the_form_and_a_program_one_line(serve):
    page = serve(token=TOKEN)
    for path in ("/", "/history", "/teach", "/login", "/?token=wrong"):
        status, headers, body = ask(page, path, **BROWSER)
        assert status == 401 and headers["WWW-Authenticate"] == "Bearer"
        assert headers["Content-Type"] == "text/html; charset=utf-8"
        assert b'<form method="post" action="/login">' in body and TOKEN.encode() not in body
        assert b'role="alert"' not in body
    for path, accept in (("/", {}), ("/events", BROWSER), ("/absent", BROWSER)):
        status, headers, body = ask(page, path, **accept)
        assert status == 401 and body.count(b"\n") == 1 and b"<" not in body


def test_the_form_may_load_nothing_and_send_itself_home_only(serve):
    _, headers, body = ask(serve(token=TOKEN), **BROWSER)
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy
    assert "form-action 'self'" in policy and "frame-ancestors 'none'" in policy
    assert headers["Cache-Control"] == "no-store" and headers["X-Frame-Options"] == "DENY"
    # "no-referrer" would have browsers hide where the form was sent from.
    assert headers["Referrer-Policy"] == "same-origin"
    page = body.decode()
    assert page.count("http") == page.count("http-equiv") + page.count("http://www.w3.org/2000/svg")
    assert "$" not in page.replace("${", "") and len(body) < 16_000
    assert "frame-ancestors http://a:1" in load_form("", "http://a:1").policy


def test_the_right_token_becomes_a_cookie_that_scripts_do_not_see(serve):
    page = serve(token=TOKEN)
    for text in (TOKEN, f"  {TOKEN}\n"):
        status, headers, _ = log_in(page, text)
        cookie, *attributes = headers["Set-Cookie"].split("; ")
        assert status == 303 and headers["Location"] == "/" and TOKEN not in cookie
        assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(attributes)
    assert ask(page, Cookie=cookie)[0] == 200
    status, headers, _ = ask(page, "/login", Cookie=cookie)
    assert status == 303 and headers["Location"] == "/"


def test_the_login_leads_to_the_page_that_was_asked_for_and_nowhere_else(serve):
    page = serve(token=TOKEN)
    for path in ("/", "/history", "/teach"):
        _, _, body = ask(page, f"{path}?q=dog", **BROWSER)
        assert f'<input type="hidden" name="page" value="{path}">'.encode() in body
        field = f"&page={quote(path, safe='')}"
        _, _, body = log_in(page, raw=f"token=wrong{field}".encode())
        assert f'<input type="hidden" name="page" value="{path}">'.encode() in body
        status, headers, _ = log_in(page, raw=f"token={TOKEN}{field}".encode())
        assert status == 303 and headers["Location"] == path
    for path in ("//elsewhere.example", "http://elsewhere.example", "/events", '"><b>', ""):
        raw = f"token={TOKEN}&page={quote(path, safe='')}".encode()
        assert log_in(page, raw=raw)[1]["Location"] == "/"


def test_a_wrong_token_opens_nothing_and_too_many_have_to_wait(serve, caplog):
    page = serve(token=TOKEN)
    for text in ("", "wrong", TOKEN[:-1], TOKEN + "x", "é\udcff"):
        status, headers, body = log_in(page, text.encode(errors="surrogateescape"))
        assert status == 401 and "Set-Cookie" not in headers
        assert b'role="alert">That is not the token.<' in body and b'aria-invalid="true"' in body
    assert [record.getMessage() for record in caplog.records] == [
        "the page: 5 wrong tokens from 127.0.0.1; its login waits for 60 s"
    ]
    status, headers, body = log_in(page, TOKEN)
    assert status == 429 and "Set-Cookie" not in headers
    assert 50 < int(headers["Retry-After"]) <= 60
    assert f"try again in {headers['Retry-After']} s." in body.decode()
    # Whoever knows the token another way is not locked out.
    assert ask(page, Authorization=f"Bearer {TOKEN}")[0] == 200


@pytest.mark.parametrize("body", [b"", b"token", b"other=1", b"token=%FF", b"\xff", b"&" * 4000])
def test_what_is_no_form_is_a_wrong_token(serve, body):
    assert log_in(serve(token=TOKEN), raw=body)[0] == 401


@pytest.mark.parametrize(
    "headers", [{"Origin": "http://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_a_form_of_another_site_is_refused(serve, headers):
    status, answer, _ = log_in(serve(token=TOKEN), TOKEN, **headers)
    assert status == 403 and "Set-Cookie" not in answer


def test_a_form_of_the_page_itself_says_so_and_is_taken(serve):
    page = serve(token=TOKEN)
    origin = f"http://127.0.0.1:{port_of(page)}"
    assert log_in(page, TOKEN, Origin=origin, **{"Sec-Fetch-Site": "same-origin"})[0] == 303


def test_without_a_token_there_is_no_login(serve):
    assert log_in(serve(), "")[0] == 404


def test_after_a_minute_the_right_token_opens_again():
    clock = Clock()
    door = login(clock)
    for _ in range(MAX_WRONG):
        assert door.answer(b"token=wrong", "a").status_code == 401
        clock.now += 10
    # The first was wrong 50 s ago.
    assert door.answer(b"token=right", "a").headers["Retry-After"] == "10"
    assert door.answer(b"token=right", "b").status_code == 303
    clock.now += 10
    assert door.answer(b"token=right", "a").status_code == 303
    # Whoever was in starts again.
    for _ in range(MAX_WRONG):
        assert door.answer(b"token=wrong", "a").status_code == 401


def test_the_wrong_tries_of_so_many_networks_are_remembered():
    clock = Clock()
    tries = WrongTries(clock)
    for number in range(MAX_NETWORKS + 1):
        for _ in range(MAX_WRONG):
            tries.add(str(number))
    assert tries.pause("0") == 0 and tries.pause("1") == tries.pause(str(MAX_NETWORKS)) == 60
    clock.now += WRONG_SECONDS - 0.5
    assert tries.pause("1") == 1
    clock.now += 1
    assert tries.pause("1") == 0
