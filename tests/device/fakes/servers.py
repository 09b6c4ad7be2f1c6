"""What tests need that speak with servers: time, ports, certificates and a broker."""

import shutil
import socket
import subprocess
import time

import pytest

MOSQUITTO = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")


def wait_for(condition, seconds=10.0):
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
    """Make an authority and the certificate of a server that has `name`; return their paths: authority, certificate, key."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")

    def openssl(*arguments):
        subprocess.run(
            ["openssl", *map(str, arguments)], check=True, capture_output=True, cwd=folder
        )

    folder.mkdir()
    key = "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout"
    openssl("req", "-x509", *key, "ca.key", "-out", "ca.pem", "-subj", "/CN=authority", "-days", 2)
    openssl("req", *key, "server.key", "-out", "server.csr", "-subj", "/CN=server")
    (folder / "names").write_text(f"subjectAltName={name}\n")
    openssl(
        "x509",
        "-req",
        "-in",
        "server.csr",
        "-CA",
        "ca.pem",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-out",
        "server.pem",
        "-extfile",
        "names",
        "-days",
        2,
    )
    return folder / "ca.pem", folder / "server.pem", folder / "server.key"


class Broker:
    """mosquitto in a folder of its own, which can be killed and started again; it remembers nothing."""

    def __init__(self, folder, *lines):
        if not MOSQUITTO:
            pytest.skip("mosquitto is not installed")
        self.port, self._path = free_port(), folder / "mosquitto.conf"
        # As another user, which it likes to become, it could not read the files that the tests make.
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

    def kill(self):
        self._process.kill()
        self._process.communicate()
