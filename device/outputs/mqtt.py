"""Recognitions to an MQTT broker, and to Home Assistant through it.

Below the topic: `status` is online or offline, `state` the recognition as JSON with "fps" and "temperature", `caption` its
text. All are retained. The state is published as soon as the caption, the certain class or the scene is another one, and
every HEARTBEAT seconds while frames come; what changes faster than the broker confirms is left out.
"""

import json
import logging
import re
import ssl
import threading
import time
from collections import deque

from .. import board
from ..config.toml import is_loopback
from ..errors import PicaptionError
from .homeassistant import discovery

#: Seconds after which a state is published though nothing that matters has changed.
HEARTBEAT = 10.0
#: Seconds to wait before the broker is tried again: at first, and, doubled each time, at most.
FIRST_WAIT, LONGEST_WAIT = 1.0, 60.0
#: Seconds that a broker has to answer, and that `close` takes at most.
ANSWER, CLOSE = 5.0, 1.9
#: Seconds that the thread listens before it looks whether there is something to publish.
STEP = 0.1

_ADDRESS = re.compile(
    r"(?:(mqtts?)://)?(?:\[([\da-f:.]+)\]|([\w.-]+))(?::(\d{1,5}))?/?", re.ASCII | re.IGNORECASE
)
_log = logging.getLogger("picaption")


def parse_address(text):
    """Return (host, port, whether with TLS) of HOST, HOST:PORT, [IPv6]:PORT, mqtt:// or mqtts://HOST[:PORT].

    Raises PicaptionError for anything else; a password in it is not repeated.
    """
    if "@" in text:
        raise PicaptionError(
            "mqtt: no user or password in the address, please: set mqtt_user and mqtt_password"
        )
    match = _ADDRESS.fullmatch(text)
    if not match or match[4] and not 1 <= int(match[4]) <= 65535:
        raise PicaptionError(
            f"mqtt = {text!r}: write it as HOST, HOST:PORT, [IPv6]:PORT or mqtts://HOST"
        )
    tls = (match[1] or "").lower() == "mqtts"
    return match[2] or match[3], int(match[4] or (8883 if tls else 1883)), tls


class MqttPublisher:
    """A sink that publishes from a thread of its own: a broker that is slow or away holds up nothing, and is tried again.

    Of what could not be published only the newest is kept. Raises PicaptionError where the settings make no sense.
    """

    def __init__(self, config):
        try:
            from paho.mqtt import client
            from paho.mqtt.enums import (
                CallbackAPIVersion,  # which paho-mqtt has from version 2 on
            )
        except ImportError:
            raise PicaptionError("mqtt needs paho-mqtt 2: pip install 'picaption[mqtt]'") from None
        self._paho, self._version, self._config = client, CallbackAPIVersion.VERSION2, config
        self._host, self._port, tls = parse_address(config.mqtt)
        self._tls, self._identity = (
            _tls(config.mqtt_ca) if tls else None,
            board.identity(config.mqtt_topic),
        )
        if config.mqtt_ca and not tls:
            raise PicaptionError(
                f'mqtt_ca: {config.mqtt} is not encrypted; write mqtt = "mqtts://{self._host}"'
            )
        if config.mqtt_user and not tls and not is_loopback(self._host):
            _log.warning(
                "mqtt: the password goes to %s unencrypted; mqtts:// would hide it", self._host
            )
        self._newest, self._times, self._introduce, self._closing = (
            None,
            deque(maxlen=10),
            False,
            threading.Event(),
        )
        self._thread = threading.Thread(target=self._run, name="mqtt", daemon=True)
        self._thread.start()

    def write(self, recognized):
        """Take the recognition as the newest; the thread publishes it."""
        self._times.append(time.monotonic())
        seconds = self._times[-1] - self._times[0]
        self._newest = recognized, round((len(self._times) - 1) / seconds, 2) if seconds else None

    def close(self):
        """Publish the newest state and "offline", which takes at most two seconds; where they cannot be, the will tells."""
        self._closing.set()
        self._thread.join(CLOSE)

    def _run(self):
        wait, told = FIRST_WAIT, None
        while True:
            began = time.monotonic()
            try:
                return self._session()
            except (OSError, ValueError) as error:  # ValueError: a host name that cannot be one
                if time.monotonic() - began > LONGEST_WAIT:
                    wait, told = FIRST_WAIT, None
                level, told = logging.DEBUG if str(error) == told else logging.WARNING, str(error)
                _log.log(level, "mqtt: %s:%d: %s; trying again", self._host, self._port, error)
            if self._closing.wait(wait):
                return None
            wait = min(2 * wait, LONGEST_WAIT)

    def _session(self):
        """Publish over one connection until the sink is closed; raises OSError or ValueError where it ends before."""
        topic, prefix = self._config.mqtt_topic, self._config.mqtt_discovery
        client = self._connect()
        _log.info("mqtt: connected to %s:%d", self._host, self._port)
        self._publish(client, f"{topic}/status", "online")
        if prefix:
            self._introduce = True
            client.subscribe(f"{prefix}/status", 1)
        sent, said, at, state, text = None, None, 0.0, None, None
        while True:
            closing, newest = self._closing.is_set(), self._newest
            if self._introduce:
                self._introduce = False
                where, payload = discovery(prefix, topic, self._identity)
                self._publish(client, where, json.dumps(payload))
            if newest is not sent and (state is None or state.is_published()):
                recognized, fps = newest
                says, now = _said(recognized.recognition), time.monotonic()
                if sent is None or says != said or now - at >= HEARTBEAT:
                    payload = {
                        **recognized.json(),
                        "fps": fps,
                        "temperature": board.temperature(),
                    }
                    state = self._publish(client, f"{topic}/state", json.dumps(payload))
                    if sent is None or says[0] != text:
                        self._publish(client, f"{topic}/caption", says[0])
                    sent, said, at, text = newest, says, now, says[0]
            if closing:
                break
            self._serve(client)
        offline, end = self._publish(client, f"{topic}/status", "offline"), time.monotonic() + CLOSE
        while not offline.is_published() and time.monotonic() < end:
            self._serve(client)
        client.disconnect()

    def _connect(self):
        """Return a client that the broker has welcomed. Each connection has its own, so that nothing old waits in it."""
        # The name stays the same, so that the broker ends a lost connection's session, and its will, for the new one.
        client = self._paho.Client(self._version, f"picaption-{self._identity}")
        client.will_set(f"{self._config.mqtt_topic}/status", "offline", 1, retain=True)
        if self._config.mqtt_user:
            client.username_pw_set(self._config.mqtt_user, self._config.mqtt_password or None)
        if self._tls:
            client.tls_set_context(self._tls)
        answers = []
        client.on_connect = lambda client, data, flags, reason, properties: answers.append(reason)
        client.on_message = self._hear
        client.connect_timeout = ANSWER
        client.connect(self._host, self._port, keepalive=30)
        end = time.monotonic() + ANSWER
        while not answers:
            if time.monotonic() > end:
                raise TimeoutError("no answer")
            try:
                self._serve(client)
            except ConnectionError:
                if not answers:
                    raise
        if answers[0].is_failure:
            raise ConnectionRefusedError(f"{answers[0]}; are mqtt_user and mqtt_password right?")
        return client

    def _hear(self, client, data, message):
        if message.payload == b"online":  # Home Assistant has started anew, and asks who is there.
            self._introduce = True

    def _publish(self, client, topic, payload):
        told = client.publish(topic, payload, 1, retain=True)
        if told.rc:
            raise ConnectionError(self._paho.error_string(told.rc))
        return told

    def _serve(self, client):
        if code := client.loop(STEP):
            raise ConnectionError(self._paho.error_string(code))


def _said(recognition):
    """Return what is published at once where it differs: the caption's text, the certain class and the scene."""
    certain = recognition.classes and not recognition.unsure
    return (
        recognition.caption.text if recognition.caption else "",
        certain and recognition.classes[0].name,
        recognition.scene,
    )


def _tls(authority):
    try:
        return ssl.create_default_context(cafile=authority or None)
    except ssl.SSLError:
        raise PicaptionError(
            f"mqtt_ca: {authority} holds no certificate; it is to be a PEM file"
        ) from None
    except OSError as error:
        raise PicaptionError(f"mqtt_ca: {authority} cannot be read: {error.strerror}") from None
