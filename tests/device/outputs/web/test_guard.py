"""Who may see the page, and what browsers are told to refuse."""

import json

import pytest

from picaption.device.errors import PicaptionError
from picaption.device.outputs.web.server import WebServer
from tests.device.fakes.web_client import TOKEN, ask, port_of


def test_every_answer_has_the_headers_that_browsers_heed(serve):
    for page, path, expected in (
        (serve(), "/", 200),
        (serve(), "/absent", 404),
        (serve(token=TOKEN), "/", 401),
    ):
        status, headers, _ = ask(page, path)
        policy = headers["Content-Security-Policy"]
        assert status == expected and "default-src 'none'" in policy and "unsafe" not in policy
        assert (
            headers["X-Content-Type-Options"] == "nosniff"
            and headers["Cache-Control"] == "no-store"
        )
        assert headers["Referrer-Policy"] == "no-referrer" and "Server" not in headers


def test_beyond_this_computer_a_token_is_needed():
    for host in ("0.0.0.0", "::", "192.168.1.5", "", "raspberrypi"):
        with pytest.raises(PicaptionError, match="set a token"):
            WebServer(host, 0, "")


def test_a_token_opens_every_route_and_nothing_else_does(serve):
    page = serve("0.0.0.0", token=TOKEN)
    for path in (
        "/",
        "/events",
        "/picture.mjpeg",
        "/thumbnails/1.jpg",
        "/absent",
        "/?token=wrong",
        f"/?tokens={TOKEN}",
    ):
        for headers in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": f"Basic {TOKEN}"},
            {"Authorization": "Bearer é"},
            {"Cookie": f"picaption_{port_of(page)}=wrong"},
            {"Cookie": f"picaption_{port_of(page)}={TOKEN}"},
        ):
            status, answer, body = ask(page, path, **headers)
            assert (
                status == 401
                and answer["WWW-Authenticate"] == "Bearer"
                and TOKEN.encode() not in body
            )
    assert ask(page, Authorization=f"bearer {TOKEN}")[0] == 200
    assert ask(page, Authorization=f"Bearer {TOKEN}", Host="pi.example")[0] == 200
    assert ask(page, f"/?token={TOKEN}", Host="[pi")[0] == 303


@pytest.mark.parametrize("path", ["/", "/history", "/teach"])
def test_a_token_in_the_address_becomes_a_cookie(serve, path):
    page = serve(token=TOKEN)
    status, headers, _ = ask(page, f"{path}?token={TOKEN}")
    cookie, *attributes = headers["Set-Cookie"].split("; ")
    assert status == 303 and headers["Location"] == path and TOKEN not in cookie
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= set(attributes)
    assert ask(page, Cookie=cookie)[0] == 200
    assert ask(page, f"//elsewhere.example/?token={TOKEN}")[0] == 404


@pytest.mark.parametrize("path", ["/thumbnails/1.jpg", "/absent", "/v1/absent", "/api/absent"])
def test_a_token_in_the_address_opens_all_but_the_page_without_a_cookie(serve, path):
    page = serve(token=TOKEN)
    status, headers, _ = ask(page, f"{path}?token={TOKEN}")
    assert status == 404 and "Set-Cookie" not in headers
    assert ask(page, f"{path}?token=wrong")[0] == 401


def test_without_the_token_only_whether_it_is_there_is_answered(serve):
    page = serve(token=TOKEN)
    assert ask(page, "/healthz")[::2] == (200, b"ok\n")
    assert ask(page, "/healthz/")[0] == ask(page, "/healthz%2f..")[0] == 401
    # Nor does it answer another name where there is no token.
    assert ask(serve(), "/healthz", Host="elsewhere.example")[0] == 403


def test_a_refusal_has_the_form_that_the_client_reads(serve):
    page = serve(token=TOKEN)
    error = json.loads(ask(page, "/v1/models")[2])["error"]
    assert error["code"] == "invalid_api_key" and error["type"] == "invalid_request_error"
    assert "Authorization: Bearer" in error["message"] and error["param"] is None
    assert "token is missing" in json.loads(ask(page, "/api/tags")[2])["error"]
    assert ask(page, "/thumbnails/1.jpg")[2].startswith(b"the token is missing or wrong: ")
    status, _, body = ask(serve(), "/v1/models", Host="elsewhere.example")
    assert status == 403 and "localhost" in json.loads(body)["error"]["message"]


@pytest.mark.parametrize(
    "headers, status",
    [
        ({}, 405),
        ({"Origin": "http://{host}"}, 405),
        ({"Origin": "HTTP://{host}", "Sec-Fetch-Site": "same-origin"}, 405),
        ({"Origin": "http://elsewhere.example"}, 403),
        ({"Origin": "http://{host}.elsewhere.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_what_another_sites_page_posts_is_refused(serve, headers, status):
    for page, token in ((serve(), {}), (serve(token=TOKEN), {"Authorization": f"Bearer {TOKEN}"})):
        host = f"127.0.0.1:{port_of(page)}"
        sent = {name: value.format(host=host) for name, value in headers.items()}
        assert ask(page, "/", "POST", **sent, **token)[0] == status


def test_pages_that_are_named_may_show_it_in_a_frame(serve):
    _, headers, _ = ask(serve())
    assert headers["Content-Security-Policy"].endswith("frame-ancestors 'none'")
    assert headers["X-Frame-Options"] == "DENY"
    origin = "http://homeassistant.local:8123"
    page = serve(token=TOKEN, frame_ancestors=origin)
    # A browser sends no cookie of a frame: the token stays in its address.
    status, headers, _ = ask(page, f"/?token={TOKEN}")
    assert status == 200 and "Set-Cookie" not in headers and "X-Frame-Options" not in headers
    assert headers["Content-Security-Policy"].endswith(f"frame-ancestors {origin}")
    assert ask(page)[0] == 401


@pytest.mark.parametrize(
    "host, status",
    [
        ("localhost", 200),
        ("LOCALHOST:8080", 200),
        ("127.0.0.1:99", 200),
        ("127.1.2.3", 200),
        ("[::1]:8080", 200),
        ("[::1]", 200),
        ("elsewhere.example", 403),
        ("127.0.0.1.elsewhere.example", 403),
        ("localhost.elsewhere.example:80", 403),
        ("", 403),
    ],
)
def test_without_a_token_only_this_computers_names_are_answered(serve, host, status):
    assert ask(serve(), Host=host)[0] == status


def test_nothing_but_get_and_head(serve):
    page = serve()
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"):
        status, headers, _ = ask(page, method=method)
        assert status == 405 and headers["Allow"] == "GET, HEAD"
    for path in ("/", "/events", "/picture.mjpeg"):
        assert ask(page, path, "HEAD")[::2] == (200, b"")
