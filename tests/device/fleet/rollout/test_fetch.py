"""Files that manifests name: only of the schemes that are allowed, of their hash and size."""

import hashlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from picaption.device.errors import PicaptionError, TemporaryError
from picaption.device.fleet.rollout.fetch import fetch

CONTENT = b"a bundle" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """Serves the content, a longer one, a shorter one, and leads elsewhere."""

    def do_GET(self):
        bodies = {"/good": CONTENT, "/long": CONTENT + b"x", "/short": CONTENT[:-1]}
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header("Location", self.path.removeprefix("/to/"))
            self.end_headers()
            return
        if self.path not in bodies:
            self.send_error(404)
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(bodies[self.path])

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def address():
    """Where a real server is."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_what_is_allowed_and_right_is_fetched(address, tmp_path):
    target = tmp_path / "bundle"
    for path in ("/good", f"/to/{address}/good"):
        fetch(address + path, target, SHA256, len(CONTENT), ["http"])
        assert target.read_bytes() == CONTENT
        target.unlink()
    source = tmp_path / "source file"
    source.write_bytes(CONTENT)
    fetch(source.as_uri(), target, SHA256, len(CONTENT), ["file"])
    assert target.read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("/long", "it is not the file that was rolled out: it was altered; refused"),
        ("/short", "it is not the file that was rolled out"),
        ("/to/https://127.0.0.1/x", "only http is taken here"),
        ("/to/ftp://127.0.0.1/x", "only http is taken here"),
    ],
)
def test_anything_else_is_refused(address, tmp_path, path, message):
    with pytest.raises(PicaptionError, match=message) as error:
        fetch(address + path, tmp_path / "bundle", SHA256, len(CONTENT), ["http"])
    assert not isinstance(error.value, TemporaryError)
    assert list(tmp_path.iterdir()) == []


def test_a_redirect_never_leads_to_a_file_of_the_device(address, tmp_path):
    # urllib refuses it by itself, whatever is allowed here.
    with pytest.raises(TemporaryError, match="is not allowed"):
        fetch(
            f"{address}/to/file:///etc/hostname",
            tmp_path / "bundle",
            SHA256,
            len(CONTENT),
            ["http", "file"],
        )
    assert list(tmp_path.iterdir()) == []


def test_what_may_come_later_is_temporary(address, tmp_path):
    for url in (f"{address}/none", "http://127.0.0.1:1/x", (tmp_path / "none").as_uri()):
        with pytest.raises(TemporaryError, match="cannot be fetched"):
            fetch(url, tmp_path / "bundle", SHA256, len(CONTENT), ["http", "file"])
    with pytest.raises(TemporaryError, match="it takes too long"):
        fetch(
            f"{address}/good",
            tmp_path / "bundle",
            SHA256,
            len(CONTENT),
            ["http"],
            is_closing=lambda: True,
        )
    assert list(tmp_path.iterdir()) == []


def test_a_password_in_an_address_is_not_repeated(tmp_path):
    with pytest.raises(PicaptionError) as error:
        fetch("http://me:secret@127.0.0.1/x", tmp_path / "x", SHA256, 1, ["https"])
    assert "secret" not in str(error.value)
