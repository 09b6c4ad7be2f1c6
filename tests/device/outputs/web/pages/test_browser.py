"""The page in a browser: what people see of a run, and what they can do. One Chromium for all."""

import time
from dataclasses import replace

import numpy as np
import pytest

from picaption.device.images import read_image
from picaption.device.outputs.overlay import annotate
from picaption.device.outputs.sink import RecognizedFrame
from picaption.device.recognition.result import Score
from picaption.device.sources.source import SourceStatus
from tests.device.fakes.browser import (
    CHROMIUM,
    needs_axe,
    texts,
    violations,
    wait_for_text,
)
from tests.device.fakes.standins import recognition, recognized, silent
from tests.device.fakes.web_client import TOKEN, port_of, until
from tests.device.fakes.web_client import feeding as feeding_fast

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium")

FRAME = np.full((240, 320, 3), (40, 90, 60), np.uint8)
CAMERA = {"Lux": 340.0, "ExposureTime": 8333, "AnalogueGain": 2.0}
STATUS = SourceStatus("/dev/video0", "HD Webcam")


def feeding(page, **changes):
    return feeding_fast(page, FRAME, rate=10, **changes)


def open_live(browser, page):
    browser.open(page.address)
    wait_for_text(browser, "#state", "Live")
    browser.wait_for("document.getElementById('picture').naturalWidth")


def test_what_is_recognised_is_shown_once_and_without_reading_it_as_html(serve, browser):
    page = serve(name="kitchen", source_status=lambda: STATUS)
    browser.resize(360, 800)
    recognition = {
        "classes": (("cup", 0.41), ("cat", 0.97), ("dog", 0.04)),
        "certain": (False, True, False),
        "tags": ("cat", "<b>eyes"),
        "confidence": 0.87,
        "camera": CAMERA,
    }
    with feeding(page, **recognition):
        open_live(browser, page)
        assert texts(browser, "title, h1") == ["picaption · kitchen"]
        assert texts(browser, "#source") == ["HD Webcam · /dev/video0 · 320 × 240"]
        assert texts(browser, "#caption") == ["a cat with green eyes"]
        assert texts(browser, "#confidence") == ["Confidence 87%"]
        assert texts(browser, "#tags li") == ["cat", "<b>eyes"] and texts(browser, "#tags b") == []
        assert texts(browser, "#classes span") == ["cat", "cup?", "dog?"]
        assert texts(browser, "#classes b") == ["97%", "41%", "4%"]
        assert texts(browser, "#classes .doubted span") == ["cup?", "dog?"]
        assert texts(browser, "#guesses, #notice, #temperature") == []
        assert texts(browser, "#lux, #exposure, #gain") == ["340lx", "1/120s", "2.0×"]
        assert texts(browser, "#history .text") == ["a cat with green eyes"]
        assert browser.wait_for("document.querySelector('#history img').naturalWidth") == 192
        # The words stand beside the picture, so that there are none on it.
        assert "overlay=0" in browser.evaluate("document.getElementById('picture').src")
        count = (
            "document.querySelector('.stage').outerHTML.split('a cat with green eyes').length - 1"
        )
        assert browser.evaluate(count) == 1
        assert browser.wait_for("document.querySelector('#fps-chart .line')?.getAttribute('d')")


def test_an_uncertain_caption_is_doubted_and_a_surer_one_is_not(serve, browser):
    page = serve()
    with feeding(page, confidence=0.4, doubted=True):
        open_live(browser, page)
        assert texts(browser, "#caption.unsure") == ["perhaps a cat with green eyes"]
        assert texts(browser, "#confidence.doubted") == ["Confidence 40%"]
    with feeding(page, confidence=0.9):
        wait_for_text(browser, "#caption", "a cat with green eyes")
        assert texts(browser, "#caption.unsure, #confidence.doubted") == []
        assert texts(browser, "#history .text") == ["perhaps a cat with green eyes"]


def test_names_stand_where_no_class_is_certain_and_nothing_where_nothing_is_seen(serve, browser):
    page = serve()
    names = (Score("magpie", 0.83), Score("bird of passage", 0.9))
    unsure = {"unsure": True, "certain": (False, False), "classes": (("dog", 0.2), ("cat", 0.3))}
    with feeding(page, **unsure, names=names):
        open_live(browser, page)
        assert texts(browser, "#classes span") == ["magpie", "bird of passage"]
        assert texts(browser, "#classes .doubted") == []
        assert texts(browser, "#guesses") == ["Guesses: cat? 30%, dog? 20%"]
    with feeding(page, **unsure):
        wait_for_text(browser, "#classes span", "cat?", "dog?")
    until(lambda: page.feed.wants_frame)
    page.write(RecognizedFrame(FRAME, silent(captured_at=time.time())))
    wait_for_text(browser, "#caption", "too dark to tell")
    assert texts(browser, "#classes li, #tags li, #confidence") == []
    assert texts(browser, "#guesses") == ["Nothing is named in such a picture."]
    assert texts(browser, "#state") == ["Live"]


def test_why_there_is_no_picture_is_said_until_there_is_one(serve, browser):
    gone = "the camera gives no frame for 5 s; check its cable and its power"
    status = SourceStatus("/dev/video0", "HD Webcam", gone)
    page = serve(source_status=lambda: status)
    browser.open(page.address)
    wait_for_text(browser, "#state", "No picture")
    assert texts(browser, "#notice-title") == ["No picture from HD Webcam"]
    reason = f"T{gone[1:]}. The camera is tried again by itself."
    assert texts(browser, "#notice-reason") == [reason]
    assert texts(browser, "#fps, #latency") == ["–", "–"]
    status = STATUS
    with feeding(page):
        wait_for_text(browser, "#state", "Live")
        wait_for_text(browser, "#notice")
    browser.evaluate("patience = 100")
    wait_for_text(browser, "#state", "No new picture")
    # What was said last is still there, and shown as no longer so.
    assert texts(browser, ".stale #caption") == ["a cat with green eyes"]
    assert texts(browser, "#fps, #latency") == ["–", "–"]
    status = replace(STATUS, is_paused=True)
    wait_for_text(browser, "#state", "Paused")


def test_a_server_that_goes_and_comes_back_is_found_by_itself(serve, browser):
    page = serve(token=TOKEN)
    with feeding(page):
        browser.open(f"{page.address}?token={TOKEN}")
        wait_for_text(browser, "#state", "Live")
        assert browser.evaluate("location.search + document.cookie") == ""
    page.close()
    wait_for_text(browser, "#state", "Connection lost")
    page = serve(port=port_of(page), token=TOKEN, name="other", source_status=lambda: STATUS)
    with feeding(page):
        wait_for_text(browser, "#state", "Live")
        wait_for_text(browser, "h1", "picaption · other")
        assert browser.evaluate("document.title") == "picaption · other"


def test_a_page_that_nobody_sees_costs_nothing(serve, browser):
    page = serve()
    with feeding(page):
        open_live(browser, page)
        assert page.feed.streams == {"images": 0, "plain images": 1, "events": 1}
        front = browser.call("Target.createTarget", url="about:blank")["targetId"]
        until(lambda: not any(page.feed.streams.values()))
        # It comes back hidden, as a tab that is opened behind another one.
        browser.evaluate("window.isOld = true; location.reload()")
        browser.wait_for("!window.isOld && document.readyState == 'complete'")
        assert browser.evaluate("document.hidden") and not any(page.feed.streams.values())
        browser.call("Target.closeTarget", targetId=front)
        browser.call("Page.bringToFront")
        wait_for_text(browser, "#state", "Live")
        wait_for_text(browser, "#history .text", "a cat with green eyes")


def test_a_scene_of_the_history_is_shown_larger_by_mouse_and_keys(serve, browser):
    page = serve()
    for scene, text in enumerate(("a cat", "a dog", "a bird"), 1):
        page.write(recognized(text, image=FRAME, scene=scene, confidence=0.7, captured_at=1.7e9))
    with feeding(page, text="a bird", scene=3):
        open_live(browser, page)
        browser.click("#history li:nth-child(2) button")
        browser.wait_for("document.getElementById('scene').open")
        assert browser.wait_for("document.getElementById('scene-picture').naturalWidth") == 320
        assert texts(browser, "#scene h2") == ["a dog"]
        assert texts(browser, "#scene-classes span") == ["cat", "dog"]
        assert texts(browser, "#scene-tags li") == ["cat", "eyes"]
        assert texts(browser, "#scene-confidence") == ["Confidence 70%"]
        when = browser.evaluate("document.getElementById('scene-time').dateTime")
        assert when == "2023-11-14T22:13:20.000Z"
        browser.press("ArrowRight")
        assert texts(browser, "#scene h2") == ["a cat"]
        assert browser.evaluate("[newer.disabled, older.disabled]") == [False, True]
        browser.click("#newer")
        browser.press("ArrowLeft")
        browser.press("ArrowLeft")
        assert texts(browser, "#scene h2") == ["a bird"]
        browser.press("Escape")
        browser.wait_for("!document.getElementById('scene').open")
        # Focus is where it was, and Enter opens the scene again.
        browser.press("Enter")
        wait_for_text(browser, "#scene h2", "a dog")
        # Until the image is there, the button below it moves.
        browser.wait_for("document.getElementById('scene-picture').complete")
        browser.click("#close")
        browser.wait_for("!document.getElementById('scene').open")


def test_the_words_move_onto_the_picture_and_full_screen_has_them_there(serve, browser):
    page = serve()
    inside = (
        "(([caption, picture]) => caption.top > picture.top && caption.bottom <= picture.bottom"
        " && caption.left < picture.right)"
        "(['caption', 'picture'].map(id => document.getElementById(id).getBoundingClientRect()))"
    )
    with feeding(page):
        open_live(browser, page)
        for width, height in ((1280, 800), (390, 844), (844, 390)):
            browser.resize(width, height)
            assert browser.evaluate(inside) is False
            browser.click("#overlay")
            browser.wait_for("overlay.ariaPressed == 'true'")
            assert browser.evaluate(inside) is True, (width, height)
            assert texts(browser, "#caption") == ["a cat with green eyes"]
            browser.click("#overlay")
            browser.wait_for("overlay.ariaPressed == 'false'")
        browser.resize(1280, 800)
        browser.click("#overlay")
        browser.wait_for("overlay.ariaPressed == 'true'")
        open_live(browser, page)
        assert browser.evaluate("overlay.ariaPressed") == "true"
        browser.click("#overlay")
        browser.wait_for("overlay.ariaPressed == 'false'")
        browser.click("#full")
        browser.wait_for("document.fullscreenElement === stage")
        assert browser.wait_for(inside) is True
        assert texts(browser, "#certain-names li") == ["cat 97%", "dog 4%"]
        browser.click("#full")
        browser.wait_for("!document.fullscreenElement")
        browser.wait_for(f"!{inside}")


def test_the_picture_is_saved_as_it_is_and_with_the_words_on_it(serve, browser, tmp_path):
    page = serve(source_status=lambda: STATUS)
    browser.call("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))

    def save():
        browser.click("#snapshot")
        # The browser holds the name by an empty file while it writes to another beside it.
        until(lambda: len(files := list(tmp_path.iterdir())) == 1 and files[0].stat().st_size, 30)
        (path,) = tmp_path.glob("picaption-????-??-??-??-??-??.jpg")
        image = read_image(path)
        path.unlink()
        return image

    with feeding(page):
        open_live(browser, page)
        plain = save()
        assert plain.shape == FRAME.shape and np.abs(plain.astype(int) - FRAME).max() < 6
        browser.click("#overlay")
        browser.wait_for("overlay.ariaPressed == 'true'")
        assert save().shape == annotate(FRAME, recognition()).shape == (360, 480, 3)


def test_the_form_of_the_login_lets_in_who_types_the_token(serve, browser):
    page = serve(token=TOKEN)
    browser.open(page.address)
    wait_for_text(browser, "h1", "Log in to picaption")
    browser.wait_for("document.activeElement === token")
    browser.type("wrong")
    browser.press("Enter")
    wait_for_text(browser, "[role=alert]", "That is not the token.")
    browser.click("#show")
    browser.wait_for("token.type == 'text'")
    browser.evaluate("token.focus()")
    browser.type(TOKEN)
    browser.click("form > button")
    with feeding(page):
        wait_for_text(browser, "#state", "Live")
        assert browser.evaluate("location.pathname + location.search + document.cookie") == "/"


def test_in_a_frame_the_token_stays_in_the_address_and_opens_all_of_it(serve, browser):
    page = serve(token=TOKEN, frame_ancestors="http://homeassistant.local:8123")
    with feeding(page):
        browser.open(f"{page.address}?token={TOKEN}")
        wait_for_text(browser, "#state", "Live")
        browser.wait_for("document.getElementById('picture').naturalWidth")
        assert browser.wait_for("document.querySelector('#history img').naturalWidth") == 192
        browser.evaluate("document.querySelector('#history button').click()")
        assert browser.wait_for("document.getElementById('scene-picture').naturalWidth") == 320
        assert browser.evaluate("location.search") == f"?token={TOKEN}"


def test_captions_are_read_aloud_once_they_stay_and_seldom(serve, browser):
    page = serve()
    with feeding(page, text="a dog", scene=10**6):
        open_live(browser, page)
        browser.evaluate(
            "window.heard = []; new MutationObserver(() => heard.push(announcement.textContent))"
            ".observe(announcement, {childList: true})"
        )
    for number in range(10):
        until(lambda: page.feed.wants_frame)
        page.write(recognized(f"cat {number}", image=FRAME, scene=number))
    with feeding(page, text="a bird", scene=10**6 + 1):
        assert browser.wait_for("heard.length") == 1
        assert browser.evaluate("heard") == ["a bird"]
        live = browser.evaluate(
            "[...document.querySelectorAll('[aria-live], [role=status]')].map(node => node.id)"
        )
        assert live == ["state", "announcement"]


SCREENS = [(360, 640), (390, 844), (844, 390), (768, 1024), (1280, 800), (2560, 1440)]


def test_no_screen_is_too_narrow_and_the_picture_is_large(serve, browser):
    page = serve()
    with feeding(page, text="a man is holding a camera on a tripod in a wide open field"):
        open_live(browser, page)
        for width, height in SCREENS:
            browser.resize(width, height)
            assert browser.evaluate("document.documentElement.scrollWidth") == width
            box = browser.evaluate(
                "(box => [box.width, box.height])(frame.getBoundingClientRect())"
            )
            assert box[0] * box[1] > 0.28 * width * height, (width, height, box)
            bottom = browser.evaluate("caption.getBoundingClientRect().bottom")
            assert bottom <= height, (width, height, bottom)
            cut = browser.evaluate("caption.scrollWidth > caption.clientWidth")
            assert not cut
        browser.call("Page.setFontSizes", fontSizes={"standard": 32, "fixed": 26})
        for width, height in SCREENS:
            browser.resize(width, height)
            wide = "document.documentElement.scrollWidth > innerWidth || caption.offsetTop < 0"
            assert browser.evaluate("parseFloat(getComputedStyle(document.body).fontSize)") >= 30
            assert not browser.evaluate(wide), (width, height)
        browser.call("Page.setFontSizes", fontSizes={"standard": 16, "fixed": 13})


def test_every_control_is_reached_by_tab_and_shows_it(serve, browser):
    page = serve()
    with feeding(page):
        open_live(browser, page)
        order = []
        for _ in range(4):
            browser.press("Tab")
            order.append(browser.evaluate("document.activeElement.id || 'scene button'"))
            outline = browser.evaluate("getComputedStyle(document.activeElement).outlineWidth")
            assert outline == "3px"
        assert order == ["snapshot", "overlay", "full", "scene button"]


def test_who_wants_no_motion_gets_none(serve, browser):
    page = serve()
    duration = "getComputedStyle(document.querySelector('.bar i')).transitionDuration"
    with feeding(page):
        open_live(browser, page)
        assert browser.evaluate(duration) == "0.25s"
        browser.prefer(still=True)
        assert browser.evaluate(duration) == "0s"


# --- axe-core


@needs_axe
def test_axe_finds_nothing_wrong_with_the_live_page(serve, browser):
    page = serve(source_status=lambda: STATUS)
    doubted = {"confidence": 0.4, "doubted": True, "certain": (True, False), "camera": CAMERA}
    browser.prefer(still=True)
    with feeding(page, **doubted):
        open_live(browser, page)
        for dark in (False, True):
            browser.prefer(dark, still=True)
            assert violations(browser) == []
        browser.resize(390, 844)
        assert violations(browser) == []
        browser.evaluate("document.querySelector('#history button').click()")
        assert violations(browser) == []


@needs_axe
def test_axe_finds_nothing_wrong_with_a_page_without_a_picture_or_the_login(serve, browser):
    status = SourceStatus("usb:0", "", "there is no camera at /dev/video0")
    page = serve(source_status=lambda: status)
    page.write(recognized(image=FRAME))
    browser.open(page.address)
    wait_for_text(browser, "#state", "No picture")
    assert violations(browser) == []
    page = serve(token=TOKEN)
    browser.open(page.address)
    for dark in (False, True):
        browser.prefer(dark)
        wait_for_text(browser, "h1", "Log in to picaption")
        assert violations(browser) == []
    browser.press("Enter")
    browser.evaluate("document.forms[0].noValidate = true; document.forms[0].submit()")
    wait_for_text(browser, "[role=alert]", "That is not the token.")
    assert violations(browser) == []
