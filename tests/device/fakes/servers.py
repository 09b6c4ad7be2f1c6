"""What tests need that speak with servers: time, ports, certificates, a broker, and a server."""

import json
import shutil
import signal
import socket
import subprocess
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

MOSQUITTO = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")


def wait_for(condition, seconds=60.0):
    """Return whether the condition has come true in time."""
    end = time.monotonic() + seconds
    while not (met := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return met


def free_port():
    """Return the number of a TCP port that nothing listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def certificates(folder, name):
    """Make an authority and the certificate of a server that has `name`.

    Returns the paths of the authority, the certificate and its key.
    """
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")

    def openssl(*arguments):
        subprocess.run(
            ["openssl", *map(str, arguments)], check=True, capture_output=True, cwd=folder
        )

    folder.mkdir()
    key = "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout"
    # Python from 3.13 on asks for all that RFC 5280 asks for.
    usage = "-addext", "keyUsage=critical,keyCertSign"
    authority = "-subj", "/CN=authority", "-days", 2, *usage
    openssl("req", "-x509", *key, "ca.key", "-out", "ca.pem", *authority)
    openssl("req", *key, "server.key", "-out", "server.csr", "-subj", "/CN=server")
    extensions = f"subjectAltName={name}\nauthorityKeyIdentifier=keyid\n"
    (folder / "extensions").write_text(extensions)
    sign = "x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey", "ca.key"
    openssl(*sign, "-CAcreateserial", "-out", "server.pem", "-extfile", "extensions", "-days", 2)
    return folder / "ca.pem", folder / "server.pem", folder / "server.key"


class Broker:
    """mosquitto in a folder of its own, which can be killed and started again, without memory."""

    def __init__(self, folder, *lines):
        if not MOSQUITTO:
            pytest.skip("mosquitto is not installed")
        self.port = free_port()
        self._path = folder / "mosquitto.conf"
        # As another user, which it likes to become, it could not read the tests' files.
        lines = (
            f"listener {self.port} 127.0.0.1",
            "user root",
            "persistence false",
            *(lines or ("allow_anonymous true",)),
        )
        self._path.write_text("\n".join(lines) + "\n")
        self.start()

    def start(self):
        self._process = subprocess.Popen([MOSQUITTO, "-c", str(self._path)], stderr=subprocess.PIPE)

        def listens():
            with socket.socket() as attempt:
                return attempt.connect_ex(("127.0.0.1", self.port)) == 0

        assert wait_for(listens), self._process.stderr.read()

    def pause(self):
        """Stop it without closing its connections."""
        self._process.send_signal(signal.SIGSTOP)

    def resume(self):
        self._process.send_signal(signal.SIGCONT)

    def kill(self):
        self._process.kill()
        self._process.communicate()


class PostServer(ThreadingHTTPServer):
    """Collects what is posted: (path, headers, JSON or bytes).

    It answers `status`, once `answer` is set.
    """

    daemon_threads = True

    def __init__(self):
        self.posts = []
        self.status = 200
        self.headers = {}
        self.answer = threading.Event()
        self.answer.set()
        super().__init__(("127.0.0.1", 0), _PostHandler)
        self.host = f"127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.answer.set()
        self.shutdown()
        self.server_close()


class _PostHandler(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        is_json = self.headers["Content-Type"] == "application/json"
        self.server.posts.append((self.path, self.headers, json.loads(body) if is_json else body))
        self.server.answer.wait(20)
        self.send_response(self.server.status)
        for header in self.server.headers.items():
            self.send_header(*header)
        self.end_headers()

    def log_message(self, *_):
        pass
