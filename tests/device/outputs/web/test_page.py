"""The page itself."""

from contextlib import closing

import pytest

from picaption.device.recognition.result import DOUBT
from tests.device.fakes.browser import CHROMIUM, Browser
from tests.device.fakes.web_client import TOKEN, ask, feeding, port_of


def test_the_page_is_complete_and_needs_nothing_from_elsewhere(serve):
    status, headers, body = ask(serve(name="<kitchen> & co"))
    page = body.decode()
    assert status == 200 and headers["Content-Type"] == "text/html; charset=utf-8"
    assert "<title>picaption · &lt;kitchen&gt; &amp; co</title>" in page and "$title" not in page
    assert "$doubt" not in page and f'"{DOUBT} "' in page
    assert page.count("http") == page.count("http://www.w3.org/2000/svg")
    assert "innerHTML" not in page and " style=" not in page and " onclick=" not in page


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium")
def test_a_browser_shows_it_all(serve, tmp_path):
    page = serve(token=TOKEN, name="kitchen")
    with closing(Browser(tmp_path, 360, 800)) as browser:
        with feeding(
            page,
            unsure=True,
            tags=("cat", "<b>eyes"),
            camera={"Lux": 340.0, "ExposureTime": 8333, "AnalogueGain": 2.0},
        ):
            browser.open(f"{page.address}?token={TOKEN}")
            browser.wait_for(
                "document.querySelector('.rate path')"
                " && document.getElementById('picture').naturalWidth"
            )

            def text(selector):
                return browser.evaluate(
                    f"[...document.querySelectorAll('{selector}')].map(node => node.textContent)"
                )

            assert text("title, h1") == ["picaption · kitchen"] * 2 and text("#caption") == [
                "a cat with green eyes"
            ]
            assert text("#tags li") == ["cat", "<b>eyes"] and text("#tags b") == []
            assert text("#classes span") == ["cat?", "dog?"] and text("#classes b") == ["97%", "4%"]
            assert browser.evaluate("!document.getElementById('unsure').hidden")
            assert text("#lux, #exposure, #gain") == ["340lx", "1/120s", "2.0×"]
            assert text("#history p") == ["a cat with green eyes"] and text("#status") == ["Live"]
            assert browser.wait_for("document.querySelector('#history img').naturalWidth") == 192
            assert (
                browser.evaluate("location.search") == ""
                and browser.evaluate("document.cookie") == ""
            )
            assert (
                browser.evaluate("document.getElementById('picture').alt")
                == "Live picture: a cat with green eyes"
            )
            assert browser.evaluate("document.documentElement.scrollWidth") == 360
        browser.wait_for("document.getElementById('status').textContent == 'No new picture'")
        page.close()
        browser.wait_for("document.getElementById('status').textContent == 'Connection lost'")
        page = serve(port=port_of(page), token=TOKEN)
        with feeding(page):
            browser.wait_for("document.getElementById('status').textContent == 'Live'")


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium")
def test_a_browser_shows_that_a_caption_is_uncertain(serve, tmp_path):
    page = serve(token=TOKEN)
    caption = "document.getElementById('caption')"
    with closing(Browser(tmp_path, 360, 800)) as browser:
        with feeding(page, confidence=0.4, doubted=True):
            browser.open(f"{page.address}?token={TOKEN}")
            browser.wait_for(f"{caption}.textContent == 'perhaps a cat with green eyes'")
            assert browser.evaluate(f"{caption}.className") == "unsure"
            history = "document.querySelector('#history p')?.textContent"
            assert browser.wait_for(history) == "perhaps a cat with green eyes"
        with feeding(page, confidence=0.9):
            browser.wait_for(f"{caption}.textContent == 'a cat with green eyes'")
            assert browser.evaluate(f"{caption}.className") == ""
