"""Teaching as a person does it: by mouse, keys and fingers, on a desktop and on a phone."""

import time

import pytest

from picaption.device.bundle.bundle import Bundle
from picaption.device.images import encode_image
from picaption.device.teaching.live_bundle import live_bundle
from tests.device.fakes.browser import CHROMIUM, needs_axe, texts, violations, wait_for_text

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium")

#: How long a person may take from the first click to a new class that works.
PERSON_SECONDS = 60


def open_page(browser, school):
    browser.open(f"{school.page.address}teach")
    browser.wait_for("Boolean(state)")
    browser.wait_for("document.getElementById('picture').naturalWidth")


def card(label):
    return f'.class[data-label="{label}"]'


def centre(browser, selector, index=0):
    """Return where the middle of an element is."""
    return browser.evaluate(
        f"(box => [box.x + box.width / 2, box.y + box.height / 2])"
        f"(document.querySelectorAll('{selector}')[{index}].getBoundingClientRect())"
    )


def mouse(browser, kind, point, **options):
    options = {"button": "left", "buttons": 1, "clickCount": 1} | options
    browser.call("Input.dispatchMouseEvent", type=kind, x=point[0], y=point[1], **options)


def click(browser, selector, index=0, shift=False):
    point = centre(browser, selector, index)
    mouse(browser, "mousePressed", point, modifiers=8 * shift)
    mouse(browser, "mouseReleased", point, modifiers=8 * shift)


def key(browser, name, code, shift=False, control=False):
    keys = {"key": name, "windowsVirtualKeyCode": code, "modifiers": 8 * shift + 2 * control}
    browser.call("Input.dispatchKeyEvent", type="rawKeyDown", **keys)
    browser.call("Input.dispatchKeyEvent", type="keyUp", **keys)


def counts(browser):
    return dict(zip(texts(browser, ".class h3"), texts(browser, ".class small")))


def count(browser, label):
    return browser.evaluate(f"document.querySelectorAll('{card(label)} li').length")


def wait_for_counts(browser, **expected):
    actual = "Object.fromEntries(state.classes.map(({name, images}) => [name, images.length]))"
    deadline = time.monotonic() + 30
    while (there := browser.evaluate(actual)) | expected != there:
        assert time.monotonic() < deadline, there
        time.sleep(0.03)


def hold(browser, label, number):
    """Press the button of a class until there are so many pictures, as a person does."""
    point = centre(browser, f"{card(label)} .hold")
    mouse(browser, "mousePressed", point)
    browser.wait_for(f"document.querySelectorAll('{card(label)} li').length >= {number}")
    assert texts(browser, "#countdown") != []
    mouse(browser, "mouseReleased", point)
    browser.wait_for("!document.querySelector('.busy') && $('countdown').hidden")


def add_class(browser, label):
    browser.click("#name")
    browser.type(label)
    browser.press("Enter")
    browser.wait_for(f"Boolean(document.querySelector('{card(label)}'))")


def give(school, label, number):
    """Put pictures into a class, without the browser."""
    school.camera.subject = label
    for _ in range(number):
        body = encode_image(school.camera.read(), ".jpg")
        school.state(f"/teach/upload?class={label}", body=body)


def test_from_the_first_click_to_a_class_that_works_and_back(school, browser):
    open_page(browser, school)
    start = time.monotonic()
    for label in ("cat", "coffee"):
        school.camera.subject = label
        time.sleep(0.3)  # A person turns the camera; the frame of before may still be the newest.
        add_class(browser, label)
        hold(browser, label, 8)
    browser.click("#fit")
    browser.wait_for("state.fitted && !state.fitting")
    wait_for_text(browser, "#live:enabled", "Use these classes")
    assert "of a class's pictures classified correctly" in texts(browser, "#accuracy")[0]
    browser.click("#live")
    browser.wait_for("state.bundle.is_taught")
    # What is recognised is shown beside the live picture: the camera sees the coffee.
    browser.wait_for(
        "$('classes').children.length == 2"
        " && $('classes').querySelector('span').textContent == 'coffee'"
    )
    seconds = time.monotonic() - start
    assert seconds < PERSON_SECONDS
    wait_for_text(browser, "#bundle", "taught (cat, coffee)")
    assert Bundle(live_bundle(school.folder)).labels == ("cat", "coffee")
    assert texts(browser, "h1") == ["picaption · taught"]
    # Where another bundle was picked, by Home Assistant say, the page tells so.
    control = school.pipeline.control
    control.choose_bundle(next(name for name in control.state.bundles if "tiny" in name))
    wait_for_text(
        browser, "#bundle", "tiny (4 classes); cat, coffee: not in use, another bundle was picked"
    )
    assert browser.evaluate("$('back').hidden")
    wait_for_text(browser, "#live:enabled", "Use these classes again")
    browser.click("#live")
    browser.wait_for("state.bundle.is_taught")
    # One press goes back.
    browser.click("#back")
    browser.wait_for("!state.bundle.is_taught")
    wait_for_text(browser, "#bundle", "tiny (4 classes)")
    assert not live_bundle(school.folder).exists()
    # And the page is told of a fit that cannot be made.
    browser.click(f"{card('coffee')} .remove")
    wait_for_text(browser, "#undo span", "Undo: delete coffee")
    browser.click("#fit")
    wait_for_text(
        browser, "#progress.bad", "two classes with pictures are needed, besides 'none of these'"
    )


def test_many_pictures_are_labelled_by_mouse(school, browser):
    give(school, "cat", 6)
    give(school, "coffee", 2)
    open_page(browser, school)
    images = f"{card('cat')} li"
    browser.wait_for(f"document.querySelector('{images} img').naturalWidth")
    assert counts(browser)["cat6 pictures"] == "6 pictures"
    click(browser, images, 1)
    click(browser, images, 3, shift=True)
    wait_for_text(browser, "#selected", "3 pictures selected")
    # It proposes a class that they are not in.
    assert browser.evaluate("$('target').value") == "coffee"
    browser.click("#move")
    wait_for_counts(browser, cat=3, coffee=5)
    assert texts(browser, "#selection") == []
    browser.click("#undo")
    wait_for_counts(browser, cat=6, coffee=2)
    # Two are dragged into the class of what is none of the others.
    click(browser, images, 0)
    click(browser, images, 1)
    start = centre(browser, images, 0)
    target = centre(browser, f"{card('none of these')} h3")
    mouse(browser, "mousePressed", start)
    mouse(browser, "mouseMoved", [start[0] + 20, start[1] + 20])
    mouse(browser, "mouseMoved", target)
    assert texts(browser, "#ghost") == ["2 pictures to none of these"]
    assert browser.evaluate("$('cards').querySelector('.target').dataset.label") == "none of these"
    mouse(browser, "mouseReleased", target)
    wait_for_counts(browser, cat=4, coffee=2, **{"none of these": 2})
    # An end in the middle of nowhere moves nothing.
    start = centre(browser, images, 0)
    mouse(browser, "mousePressed", start)
    mouse(browser, "mouseMoved", [700, 60])
    mouse(browser, "mouseReleased", [700, 60])
    time.sleep(0.1)
    wait_for_counts(browser, cat=4, coffee=2, **{"none of these": 2})
    # A name is changed.
    browser.evaluate("clearSelection()")
    browser.click(f"{card('coffee')} .rename")
    browser.evaluate("$('ask-name').value = 'my cup'")
    browser.click("#ask-yes")
    wait_for_counts(browser, cat=4, **{"my cup": 2, "none of these": 2})


def test_the_same_is_done_with_keys_alone(school, browser):
    give(school, "cat", 5)
    give(school, "coffee", 1)
    open_page(browser, school)
    browser.wait_for(f"document.querySelectorAll('{card('cat')} li').length == 5")
    browser.evaluate(f"document.querySelector('{card('cat')} .hold').focus()")
    order = []
    for _ in range(5):
        browser.press("Tab")
        order.append(browser.evaluate("document.activeElement.ariaLabel"))
    assert order[-1] == "Picture 5 of cat" and order[0].startswith("Take 15 pictures of cat")
    key(browser, " ", 32)
    key(browser, "ArrowRight", 39, shift=True)
    key(browser, "ArrowRight", 39, shift=True)
    wait_for_text(browser, "#selected", "3 pictures selected")
    key(browser, "Delete", 46)
    wait_for_counts(browser, cat=2, coffee=1)
    browser.evaluate("$('undo').focus()")
    browser.press("Enter")
    wait_for_counts(browser, cat=5, coffee=1)
    # The space bar is held as the mouse's button is.
    browser.evaluate(f"document.querySelector('{card('coffee')} .hold').focus()")
    space = {"key": " ", "code": "Space", "windowsVirtualKeyCode": 32}
    browser.call("Input.dispatchKeyEvent", type="rawKeyDown", **space)
    browser.call("Input.dispatchKeyEvent", type="rawKeyDown", autoRepeat=True, **space)
    browser.wait_for(f"document.querySelectorAll('{card('coffee')} li').length >= 3")
    browser.call("Input.dispatchKeyEvent", type="keyUp", **space)
    browser.wait_for("!document.querySelector('.busy')")
    number = count(browser, "coffee")
    time.sleep(0.5)
    assert count(browser, "coffee") == number
    # All of a class, and nothing after Escape.
    browser.evaluate(f"document.querySelector('{card('cat')} [tabindex=\"0\"]').focus()")
    key(browser, "a", 65, control=True)
    wait_for_text(browser, "#selected", "5 pictures selected")
    key(browser, "Escape", 27)
    assert texts(browser, "#selected") == []


def touch(browser, kind, *points):
    places = [{"x": x, "y": y} for x, y in points]
    browser.call("Input.dispatchTouchEvent", type=kind, touchPoints=places)


def test_the_same_is_done_with_fingers_on_a_phone(school, browser):
    give(school, "cat", 5)
    give(school, "coffee", 1)
    browser.resize(390, 844)
    browser.call("Emulation.setTouchEmulationEnabled", enabled=True)
    try:
        open_page(browser, school)
        images = f"{card('cat')} li"
        browser.evaluate(f"document.querySelector('{card('cat')}').scrollIntoView()")
        assert browser.evaluate("document.documentElement.scrollWidth") == 390
        # A class is taught by holding a finger on its button.
        point = centre(browser, f"{card('cat')} .hold")
        touch(browser, "touchStart", point)
        browser.wait_for(f"document.querySelectorAll('{images}').length >= 7")
        touch(browser, "touchEnd")
        browser.wait_for("!document.querySelector('.busy')")
        # A tap selects; a long press and a movement drag.
        number = count(browser, "cat")
        for index in (0, 2):
            point = centre(browser, images, index)
            touch(browser, "touchStart", point)
            touch(browser, "touchEnd")
        wait_for_text(browser, "#selected", "2 pictures selected")
        start = centre(browser, images, 0)
        target = centre(browser, f"{card('coffee')} h3")
        if target[1] > 800:
            browser.evaluate("scrollBy(0, 250)")
            start = centre(browser, images, 0)
            target = centre(browser, f"{card('coffee')} h3")
        touch(browser, "touchStart", start)
        browser.wait_for("drag && drag.isOn")
        touch(browser, "touchMove", [start[0] + 10, start[1] + 20])
        touch(browser, "touchMove", target)
        assert texts(browser, "#ghost") == ["2 pictures to coffee"]
        touch(browser, "touchEnd")
        wait_for_counts(browser, cat=number - 2, coffee=3)
        # What the buttons say fits beside each other.
        for selector in (".hold", ".timer", ".upload", "#undo", "#fit"):
            width, height = browser.evaluate(
                f"(box => [box.width, box.height])"
                f"(document.querySelector('{selector}').getBoundingClientRect())"
            )
            assert width >= 44 and height >= 44, selector
    finally:
        browser.call("Emulation.setTouchEmulationEnabled", enabled=False)


def test_files_are_uploaded_and_what_is_none_is_named(school, browser, tmp_path):
    school.camera.subject = "cat"
    (tmp_path / "one.jpg").write_bytes(encode_image(school.camera.read(), ".jpg"))
    (tmp_path / "two.png").write_bytes(encode_image(school.camera.read(), ".png"))
    (tmp_path / "notes.jpg").write_bytes(b"no picture")
    open_page(browser, school)
    add_class(browser, "cat")
    browser.evaluate("uploadLabel = 'cat'")
    node = browser.call("DOM.getDocument")["root"]["nodeId"]
    files = browser.call("DOM.querySelector", nodeId=node, selector="#files")["nodeId"]
    paths = [str(tmp_path / name) for name in ("one.jpg", "notes.jpg", "two.png")]
    browser.call("DOM.setFileInputFiles", nodeId=files, files=paths)
    wait_for_text(browser, "#message.bad", "notes.jpg: the picture is not a JPEG, PNG or WebP file")
    wait_for_counts(browser, cat=2)
    assert sorted(path.name for path in (school.folder / "cat").iterdir()) == [
        "0000.jpg",
        "0001.jpg",
    ]


@needs_axe
def test_axe_finds_nothing_wrong(school, browser):
    give(school, "cat", 3)
    give(school, "coffee", 3)
    browser.prefer(still=True)
    open_page(browser, school)
    school.state("/teach/fit", {})
    browser.wait_for("state.fitted && !state.fitting && !$('result').hidden")
    browser.evaluate("$('details').open = true; document.querySelector('.images li').click()")
    wait_for_text(browser, "#selected", "1 picture selected")
    for width, dark in ((1280, False), (1280, True), (390, False)):
        browser.resize(width, 844)
        browser.prefer(dark, still=True)
        assert violations(browser) == []
    browser.click(f"{card('cat')} .rename")
    assert violations(browser) == []
