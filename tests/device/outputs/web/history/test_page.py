"""The page of the history in a browser: what people find there, and what they can delete."""

from datetime import UTC, datetime, timedelta

import pytest

from picaption.device.outputs.web.history.page import HISTORY_PAGE
from picaption.device.outputs.web.pages.page import read_part
from tests.device.fakes.browser import CHROMIUM, needs_axe, texts, violations, wait_for_text
from tests.device.fakes.histories import SCENES, make_history, shift
from tests.device.fakes.web_client import TOKEN, ask
from tests.tiny import TINY_BUNDLE

needs_chromium = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium")

#: Where the scenes of the 28th are on the page, and those of the 27th.
YESTERDAY = datetime.now(UTC).date() - timedelta(days=1)
DAYS = (YESTERDAY - datetime(2026, 11, 28, tzinfo=UTC).date()).days
RECENT = [shift(entry, DAYS) for entry in SCENES]
DIGEST = "5 scenes: mostly an empty desk; a cat between 14:02 and 14:31; "
DIGEST += "a laptop between 14:02 and 14:20."
CAPTIONS = (
    *("too dark to tell", "an empty desk", 'perhaps =cats; "sleeping"', "a cat on a desk"),
    "an empty desk",
)
SCREENS = [(360, 640), (390, 844), (844, 390), (768, 1024), (1280, 800), (2560, 1440)]


@pytest.fixture
def server(serve, tmp_path):
    path = make_history(tmp_path / "history.db", RECENT)
    return serve(name="kitchen", bundle=str(TINY_BUNDLE), history=str(path))


@pytest.fixture
def page(browser, server):
    """The browser at the page, on a computer whose clock is that of UTC, in English."""
    browser.call("Emulation.setTimezoneOverride", timezoneId="UTC")
    browser.call("Emulation.setLocaleOverride", locale="en-GB")
    browser.open(f"{server.address}history")
    wait_for_text(browser, "#status", "5 scenes, the newest first.")
    yield browser
    browser.call("Emulation.setTimezoneOverride", timezoneId="")
    browser.call("Emulation.setLocaleOverride")


def bars(browser, chart):
    """Return the titles of the bars of a chart that have scenes."""
    titles = browser.evaluate(
        f"[...document.querySelectorAll('#{chart} button')].map(node => node.title)"
    )
    return [title for title in titles if not title.endswith(": 0 scenes")]


def click_bar(browser, chart, name):
    browser.click(f'#{chart} button[title^="{name}"]')


def day_title(day):
    return f"{day:%A} {day.day} {day:%B}"


def test_the_page_is_complete_and_needs_nothing_from_elsewhere(server):
    status, headers, body = ask(server, "/history")
    text = body.decode()
    assert status == 200 and "<title>History · picaption · kitchen</title>" in text
    assert all(read_part(name) in text for name in HISTORY_PAGE.scripts + HISTORY_PAGE.styles)
    assert text.count("http") == text.count("http://www.w3.org/2000/svg")
    assert "innerHTML" not in text and " style=" not in text and " onclick=" not in text
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "unsafe" not in policy


@needs_chromium
def test_the_last_day_is_shown_with_its_digest_and_leads_to_others(page):
    assert texts(page, "nav a") == ["Live", "History"]
    assert texts(page, "#results-title") == [day_title(YESTERDAY)]
    wait_for_text(page, "#digest", DIGEST)
    assert texts(page, "#scenes .caption") == list(CAPTIONS)
    assert texts(page, "#scenes time")[:2] == ["18:00 – 23:30", "14:31 – 18:00"]
    assert texts(page, "#scenes .doubted") == ["too dark to tell", 'perhaps =cats; "sleeping"']
    assert texts(page, "#scenes .tags li") == ["cat 90%", "cat 90%", "laptop 90%"]
    assert texts(page, "#scenes .confidence")[1:3] == ["Confidence 40%", "Confidence 80%"]
    assert page.wait_for("document.querySelector('#scenes img').naturalWidth") == 64
    assert page.evaluate("document.querySelectorAll('#scenes img').length") == 2
    before = YESTERDAY - timedelta(days=1)
    assert bars(page, "days") == [
        f"{day_title(before)}: 1 scene",
        f"{day_title(YESTERDAY)}: 5 scenes",
    ]
    hours = ["8:00 to 9:00: 1 scene", "14:00 to 15:00: 3 scenes", "18:00 to 19:00: 1 scene"]
    assert bars(page, "hours") == hours
    click_bar(page, "hours", "14:00")
    wait_for_text(page, "#results-title", f"{day_title(YESTERDAY)}, 14:00 to 15:00")
    # With the one that went on until 14:02.
    wait_for_text(page, "#scenes .caption", *CAPTIONS[1:])
    assert texts(page, "#digest") == []
    click_bar(page, "days", day_title(before))
    wait_for_text(page, "#digest", "1 scene: mostly an empty desk.")
    page.click("#all-days")
    wait_for_text(page, "#status", "6 scenes, the newest first.")
    assert texts(page, "#hours-box, #digest") == []
    assert page.evaluate("document.querySelector('#all-days').ariaPressed") == "true"
    page.click("#earlier")
    page.wait_for("!document.querySelector('#later').disabled")
    assert bars(page, "days") == []
    page.click("#later")
    page.wait_for("document.querySelector('#later').disabled")
    assert len(bars(page, "days")) == 2


@needs_chromium
def test_a_search_finds_scenes_and_one_of_them_finds_others_like_it(page):
    page.click("#query")
    page.type("cats")
    page.press("Enter")
    wait_for_text(page, "#results-title", "“cats”")
    wait_for_text(page, "#status", "The best ones first.")
    cats = {"a cat on a desk", 'perhaps =cats; "sleeping"'}
    assert set(texts(page, "#scenes .caption")) == cats
    assert texts(page, "#digest, #more, #files h2") == []
    # The day of a scene is said, since they are of several days.
    assert texts(page, "#scenes time")[0].startswith(f"{YESTERDAY:%a}")
    page.evaluate("document.querySelector('#scenes button').click()")
    page.wait_for("document.getElementById('results-title').textContent.startsWith('Like ')")
    page.wait_for("document.querySelectorAll('#scenes > li').length == 5")
    assert page.evaluate("document.activeElement.id") == "results-title"
    click_bar(page, "days", day_title(YESTERDAY - timedelta(days=1)))
    wait_for_text(page, "#scenes .caption", "an empty desk")
    page.click("#clear")
    wait_for_text(page, "#results-title", day_title(YESTERDAY - timedelta(days=1)))
    wait_for_text(page, "#status", "1 scene, the newest first.")


@needs_chromium
def test_filters_choose_scenes_days_and_files(page):
    page.click("#all-days")
    page.click("#filters summary")
    page.click("#word")
    page.type("desks")
    page.press("Tab")
    wait_for_text(page, "#status", "4 scenes, the newest first.")
    page.click("#class")
    page.type("cat")
    page.press("Tab")
    wait_for_text(page, "#scenes .caption", "a cat on a desk")
    page.wait_for("document.querySelectorAll('#days button[title$=\": 1 scene\"]').length == 1")
    link = page.evaluate("document.getElementById('export-jsonl').href")
    assert "format=jsonl" in link and "word=desks" in link and "class=cat" in link
    lines = page.evaluate(f"fetch('{link}').then(answer => answer.text())").splitlines()
    assert len(lines) == 1 and '"a cat on a desk"' in lines[0]
    names = page.evaluate("[...document.querySelectorAll('#classes option')].map(n => n.value)")
    assert names == ["cat", "laptop"]
    cameras = page.evaluate("[...document.getElementById('camera').options].map(n => n.value)")
    assert cameras == ["", "csi:0", "usb:0"] and texts(page, "#cameras label") == ["Camera"]
    page.evaluate(
        "confidence.value = '0.9'; confidence.dispatchEvent(new Event('change', {bubbles: true}))"
    )
    wait_for_text(page, "#status", "No scenes.")


@needs_chromium
def test_a_scene_and_a_span_are_deleted_only_once_it_is_confirmed(page):
    page.evaluate("document.querySelector('#scenes > li:nth-child(4) button:last-child').click()")
    wait_for_text(page, "#deletion-text", "“a cat on a desk”, 14:02 – 14:20")
    page.press("Escape")
    page.wait_for("!deletion.open")
    assert len(texts(page, "#scenes .caption")) == 5
    page.evaluate("document.querySelector('#scenes > li:nth-child(4) button:last-child').click()")
    page.wait_for("deletion.open")
    page.click("#delete")
    wait_for_text(page, "#status", "1 scene deleted. 4 scenes, the newest first.")
    assert "a cat on a desk" not in texts(page, "#scenes .caption")
    assert f"{day_title(YESTERDAY)}: 4 scenes" in bars(page, "days")
    page.evaluate("document.getElementById('delete-span').click()")
    wait_for_text(page, "#deletion-text", "It has 4 scenes.")
    assert page.evaluate("[$('from').value, $('to').value]") == [
        f"{YESTERDAY}T00:00",
        f"{YESTERDAY + timedelta(days=1)}T00:00",
    ]
    page.evaluate(f"to.value = '{YESTERDAY}T14:10'; to.onchange()")
    wait_for_text(page, "#deletion-text", "It has 1 scene.")
    page.evaluate(f"to.value = '{YESTERDAY - timedelta(days=3)}T14:10'; to.onchange()")
    wait_for_text(page, "#deletion-text", "The span ends before it begins.")
    assert page.evaluate("$('delete').disabled")
    page.click("#keep")
    page.wait_for("!deletion.open")
    page.evaluate("$('delete-span').click()")
    wait_for_text(page, "#delete", "Delete 4 scenes")
    page.click("#delete")
    wait_for_text(page, "#status", "4 scenes deleted. No scenes.")


@needs_chromium
def test_keys_reach_everything_and_lead_along_the_bars(page):
    page.evaluate("document.querySelector('#all-days').focus()")
    page.press("Tab")
    focused = "document.activeElement.title"
    assert page.evaluate(focused) == f"{day_title(YESTERDAY)}: 5 scenes"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineWidth") == "3px"
    page.press("ArrowLeft")
    page.press("Enter")
    wait_for_text(page, "#digest", "1 scene: mostly an empty desk.")
    # The bar is another one now, and still has the focus.
    assert page.evaluate(focused) == f"{day_title(YESTERDAY - timedelta(days=1))}: 1 scene"
    page.press("Tab")
    assert page.evaluate(focused) == "23:00 to 24:00: 0 scenes"


@needs_chromium
def test_in_a_frame_the_token_stays_in_the_address_and_opens_all_of_it(serve, browser, tmp_path):
    path = make_history(tmp_path / "history.db", RECENT)
    server = serve(token=TOKEN, frame_ancestors="http://home:8123", history=str(path))
    browser.open(f"{server.address}history?token={TOKEN}")
    browser.wait_for("document.querySelector('#scenes img')?.naturalWidth")
    links = browser.evaluate("[...document.querySelectorAll('nav a')].map(node => node.href)")
    assert links == [f"{server.address}{path}?token={TOKEN}" for path in ("", "history")]
    assert f"token={TOKEN}" in browser.evaluate("document.getElementById('export-csv').href")


@needs_chromium
def test_what_the_server_refuses_is_said(serve, browser, tmp_path):
    server = serve(history=str(tmp_path / "history.db"))
    browser.open(f"{server.address}history")
    message = f"history: there is no file {tmp_path}/history.db; picaption live --history makes one"
    wait_for_text(browser, "#status", message)


@needs_chromium
def test_where_a_search_fails_no_other_scenes_stand_below_it(page):
    page.evaluate(
        "query.maxLength = 999; query.value = 'a'.repeat(201); $('search').requestSubmit()"
    )
    wait_for_text(page, "#status", "q has at most 200 characters")
    assert texts(page, "#scenes > li, #more") == []


@needs_chromium
def test_no_screen_is_too_narrow(page):
    for width, height in SCREENS:
        page.resize(width, height)
        assert page.evaluate("document.documentElement.scrollWidth") == width
        least = page.evaluate(
            "Math.min(...[...document.querySelectorAll('button, a')]"
            ".filter(node => node.checkVisibility()).map(node => node.offsetHeight))"
        )
        assert least >= 24, (width, height)
    page.call("Page.setFontSizes", fontSizes={"standard": 32, "fixed": 26})
    for width, height in SCREENS:
        page.resize(width, height)
        assert page.evaluate("document.documentElement.scrollWidth") == width, (width, height)
    page.call("Page.setFontSizes", fontSizes={"standard": 16, "fixed": 13})


@needs_chromium
@needs_axe
def test_axe_finds_nothing_wrong(page):
    page.prefer(still=True)
    page.evaluate("filters.open = true")
    for dark in (False, True):
        page.prefer(dark, still=True)
        assert violations(page) == []
    page.resize(390, 844)
    page.evaluate("$('delete-span').click()")
    wait_for_text(page, "#deletion-text", "It has 5 scenes.")
    assert violations(page) == []
