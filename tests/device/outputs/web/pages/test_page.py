"""The page as a document: complete, and strict about what a browser may run."""

import base64
import hashlib
import re

from picaption.device.outputs.web.pages.navigation import navigation
from picaption.device.outputs.web.pages.page import LIVE_PAGE, fill, load_page, read_part
from picaption.device.recognition.result import DOUBT
from tests.device.fakes.web_client import ask


def test_the_page_is_complete_and_needs_nothing_from_elsewhere(serve):
    status, headers, body = ask(serve(name="<kitchen> & $script"))
    page = body.decode()
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<title>picaption · &lt;kitchen&gt; &amp; $script</title>" in page
    assert f'data-doubt="{DOUBT}"' in page
    assert all(read_part(name) in page for name in LIVE_PAGE.scripts + LIVE_PAGE.styles)
    assert page.count("http") == page.count("http://www.w3.org/2000/svg")
    assert "innerHTML" not in page and " style=" not in page and " onclick=" not in page


def test_only_the_pages_own_script_and_style_run(serve):
    _, headers, body = ask(serve())
    policy = dict(rule.split(" ", 1) for rule in headers["Content-Security-Policy"].split("; "))
    for element in ("script", "style"):
        text = re.search(rf"<{element}>(.*?)</{element}>", body.decode(), re.DOTALL)[1]
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert policy.pop(f"{element}-src") == f"'sha256-{digest}'"
    assert policy.pop("img-src") == policy.pop("connect-src") == "'self'"
    assert set(policy.values()) == {"'none'"}


def test_the_icon_is_a_picture_behind_the_token_as_everything_is(serve):
    status, headers, body = ask(serve(), "/favicon.svg")
    assert status == 200 and headers["Content-Type"].startswith("image/svg+xml")
    assert body.startswith(b"<svg ") and b'href="/favicon.svg"' in ask(serve())[2]
    assert ask(serve(token="a-token-of-more-than-16"), "/favicon.svg")[0] == 401


def test_what_fills_a_template_is_not_filled_itself():
    assert fill("$a $b $ab $c", {"a": "$b", "b": "$a"}) == "$b $a $ab $c"


def test_pages_lead_to_those_that_there_are():
    assert navigation(["/"], "/") == ""
    assert navigation(["/teach", "/"], "/teach") == (
        '<nav aria-label="Pages"><a href="/">Live</a>'
        '<a href="/teach" aria-current="page">Teach</a></nav>'
    )
    assert "<nav" not in load_page(LIVE_PAGE, "kitchen").html
    assert (
        navigation(["/", "/history"], "/")
        in load_page(LIVE_PAGE, "kitchen", "", ["/", "/history"]).html
    )
