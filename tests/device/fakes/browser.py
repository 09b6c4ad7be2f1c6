"""Chromium without a window, driven over its debugging port, since streams never finish loading."""

import base64
import importlib.util
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import time
import urllib.request
from pathlib import Path

import pytest

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)
AXE = importlib.util.find_spec("axe_core_python")

needs_axe = pytest.mark.skipif(not AXE, reason="there is no axe-core: pip install axe-core-python")


def texts(browser, selector):
    """Return the texts of the visible elements."""
    return browser.evaluate(
        f"[...document.querySelectorAll('{selector}')].filter(node => node.checkVisibility())"
        ".map(node => node.textContent)"
    )


def wait_for_text(browser, selector, *expected):
    """Wait until the visible elements have these texts."""
    deadline = time.monotonic() + 30
    while (actual := texts(browser, selector)) != list(expected):
        assert time.monotonic() < deadline, actual
        time.sleep(0.05)


def violations(browser):
    """Return what axe-core finds: the rule and the elements."""
    script = Path(AXE.submodule_search_locations[0], "axe.min.js").read_text(encoding="utf-8")
    if not browser.evaluate("Boolean(window.axe)"):
        browser.evaluate(script + "; 0")
    return browser.evaluate(
        "axe.run().then(({violations}) => violations.map("
        "({id, nodes}) => [id, ...nodes.map(node => node.html)]))"
    )


class Browser:
    """One tab of a fresh Chromium; its profile lies in `folder`."""

    def __init__(self, folder, width=1280, height=900, dark=False):
        command = [
            CHROMIUM,
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--hide-scrollbars",
            "--remote-debugging-port=0",
            f"--user-data-dir={folder}",
            "about:blank",
        ]
        self._process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            port = Path(folder, "DevToolsActivePort")
            self._wait(lambda: port.exists() and "\n" in port.read_text())
            self._connect(int(port.read_text().split()[0]))
            self.resize(width, height)
            self.prefer(dark)
        except BaseException:
            self.close()
            raise

    def _wait(self, condition, seconds=30):
        deadline = time.monotonic() + seconds
        while not (value := condition()):
            assert time.monotonic() < deadline, "Chromium did not get there in time"
            time.sleep(0.05)
        return value

    def _connect(self, port):
        tabs = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/json"))
        path = re.sub(
            r"^ws://[^/]+",
            "",
            next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page"),
        )
        self._number = 0
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self._socket.sendall(
            (
                f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n"
                "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n\r\n"
            ).encode()
        )
        self._file = self._socket.makefile("rb")
        while self._file.readline() != b"\r\n":
            pass

    def call(self, method, **params):
        """Return the result of a method of the DevTools protocol."""
        self._number += 1
        data = json.dumps({"id": self._number, "method": method, "params": params}).encode()
        if len(data) < 126:
            head = bytes([0x81, 0x80 | len(data)])
        elif len(data) < 65_536:
            head = struct.pack("!BBH", 0x81, 0x80 | 126, len(data))
        else:
            head = struct.pack("!BBQ", 0x81, 0x80 | 127, len(data))
        self._socket.sendall(head + bytes(4) + data)  # masked with zeros, which leave it as it is
        while True:
            length = self._file.read(2)[1]
            if length >= 126:
                length = int.from_bytes(self._file.read(2 if length == 126 else 8))
            answer = json.loads(self._file.read(length))
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def resize(self, width, height):
        """Make the tab as large as that screen."""
        self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=1,
            mobile=min(width, height) < 600,
        )

    def prefer(self, dark=False, still=False):
        """Say whether dark colours are preferred, and as little motion as can be."""
        preferences = {
            "prefers-color-scheme": "dark" if dark else "light",
            "prefers-reduced-motion": "reduce" if still else "no-preference",
        }
        features = [{"name": name, "value": value} for name, value in preferences.items()]
        self.call("Emulation.setEmulatedMedia", features=features)

    def open(self, address):
        """Go to an address."""
        self.call("Page.navigate", url=address)

    def press(self, key):
        """Press and release a key, by its name: "Tab", "Enter", "Escape", "ArrowRight"."""
        code = {"Tab": 9, "Enter": 13, "Escape": 27, "ArrowLeft": 37, "ArrowRight": 39}[key]
        text = {"text": "\r"} if key == "Enter" else {}
        names = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        self.call("Input.dispatchKeyEvent", type="keyDown", **names, **text)
        self.call("Input.dispatchKeyEvent", type="keyUp", **names)

    def type(self, text):
        """Type a text into what has the focus."""
        self.call("Input.insertText", text=text)

    def click(self, selector):
        """Click into the middle of an element."""
        x, y = self.evaluate(
            f"(box => [box.x + box.width / 2, box.y + box.height / 2])"
            f"(document.querySelector('{selector}').getBoundingClientRect())"
        )
        button = {"x": x, "y": y, "button": "left", "clickCount": 1}
        self.call("Input.dispatchMouseEvent", type="mousePressed", **button)
        self.call("Input.dispatchMouseEvent", type="mouseReleased", **button)

    def evaluate(self, expression):
        """Return the value of a JavaScript expression in the page."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        return answer["result"].get("value")

    def wait_for(self, expression):
        """Return the value of a JavaScript expression once it is true."""
        return self._wait(lambda: self.evaluate(expression))

    def screenshot(self, path, full=False):
        """Save what the tab shows, or all of the page, as PNG or JPEG."""
        form = (
            {"format": "jpeg", "quality": 88} if str(path).endswith(".jpg") else {"format": "png"}
        )
        data = self.call("Page.captureScreenshot", captureBeyondViewport=full, **form)["data"]
        Path(path).write_bytes(base64.b64decode(data))

    def close(self):
        """End Chromium."""
        self._process.terminate()
        try:
            self._process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if hasattr(self, "_socket"):
            self._file.close()
            self._socket.close()
