"""Who is let in, who is dropped, and that nobody locks others out."""

import asyncio
import errno
import socket
import time
from contextlib import ExitStack, contextmanager

import pytest
from starlette.responses import PlainTextResponse

from picaption.device.outputs.web import door as door_module
from picaption.device.outputs.web.door import REQUEST_SECONDS, Door, parse_head
from tests.device.fakes.web_client import TOKEN, ask, feeding, port_of, until


def refuse(scope):
    return PlainTextResponse("no\n", 401, {"X-Why": "token"})


def is_admitted(scope):
    return scope["query_string"] == b"token=right"


@contextmanager
def listening(backlog=4096):
    with socket.create_server(("127.0.0.1", 0), backlog=backlog) as listener:
        yield listener


def run_door(client, listener=None, forms=None, **options):
    """Run `client(door, connect)`, a coroutine; return the heads that were admitted."""
    heads = []

    def admit(connection, head):
        connection.close()
        heads.append(head)

    async def main(listener):
        with (
            ExitStack() as stack,
            Door(listener, is_admitted, admit, refuse, forms or {}, **options) as door,
        ):

            def connect():
                connection = socket.create_connection(listener.getsockname(), timeout=5)
                connection.setblocking(False)
                return stack.enter_context(connection)

            await client(door, connect)

    with listening() if listener is None else listener as listener:
        asyncio.run(main(listener))
    return heads


async def end_of(connection, seconds=5):
    """Return all that comes until the connection ends."""
    loop = asyncio.get_running_loop()
    received = b""
    async with asyncio.timeout(seconds):
        while True:
            try:
                data = await loop.sock_recv(connection, 4096)
            except ConnectionResetError:
                data = b""
            if not data:
                return received
            received += data


def test_a_request_with_the_token_is_passed_on_as_it_came():
    head = b"GET /?token=right HTTP/1.1\r\nHost: a\r\n\r\n"

    async def client(door, connect):
        connection = connect()
        for part in (head[:9], head[9:-1], head[-1:]):
            connection.send(part)
            await asyncio.sleep(0.05)
        await end_of(connection)

    assert run_door(client) == [head]


def test_a_request_without_it_is_answered_on_the_spot():
    async def client(door, connect):
        connection = connect()
        connection.send(b"GET / HTTP/1.1\r\n\r\n")
        head, _, body = (await end_of(connection)).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 401 ") and b"\r\nx-why: token" in head and body == b"no\n"
        connection = connect()
        connection.send(b"HEAD / HTTP/1.1\r\n\r\n")
        assert (await end_of(connection)).endswith(b"\r\n\r\n")

    assert run_door(client) == []


def test_a_refusal_is_made_once_for_each_method_path_and_accept(monkeypatch):
    made = []

    def refuse_so(scope):
        made.append((scope["method"], scope["path"], dict(scope["headers"]).get(b"accept")))
        return PlainTextResponse(repr(made[-1]), 401)

    async def client(door, connect):
        for _ in range(2):
            for line in ("GET /?a=1", "GET /?a=2", "GET /b", "HEAD /"):
                for accept in ("text/html", "*/*"):
                    connection = connect()
                    connection.send(f"{line} HTTP/1.1\r\nAccept: {accept}\r\n\r\n".encode())
                    answer = await end_of(connection)
                    if line.startswith("GET"):
                        path = line.split()[1].partition("?")[0]
                        assert answer.endswith(repr(("GET", path, accept.encode())).encode())

    monkeypatch.setitem(globals(), "refuse", refuse_so)
    run_door(client)
    assert len(made) == len(set(made)) == 6
    made.clear()
    monkeypatch.setattr(door_module, "MAX_REFUSALS", 1)
    run_door(client)
    assert len(made) > 6  # Only so many are remembered.


def test_in_a_crowd_what_comes_later_is_read_too(monkeypatch):
    monkeypatch.setattr(door_module, "CROWD", 3)
    head = b"GET /?token=right HTTP/1.1\r\nHost: a\r\n\r\n"

    async def client(door, connect):
        holding = [connect() for _ in range(5)]
        slow = connect()
        slow.send(head[:20])
        while door.waiting < 6:
            await asyncio.sleep(0.01)
        slow.send(head[20:])
        await end_of(slow, 2)
        connection = connect()
        connection.send(head)
        await end_of(connection, 2)
        assert door.waiting == len(holding)

    assert run_door(client) == [head, head]


def test_a_form_is_answered_once_it_is_complete_and_reaches_nobody_else():
    forms = []

    def answer(scope, body, network):
        forms.append((scope["path"], body, network))
        return PlainTextResponse("yes\n", 303)

    async def client(door, connect):
        connection = connect()
        for part in (b"POST /log", b"in HTTP/1.1\r\ncontent-length: 4\r\n\r\na=", b"1", b"2 and"):
            assert not forms
            connection.send(part)
            await asyncio.sleep(0.05)
        received = await end_of(connection)
        assert received.startswith(b"HTTP/1.1 303 See Other\r\n") and received.endswith(
            b"\r\nyes\n"
        )

    assert run_door(client, forms={"/login": answer}) == []
    assert forms == [("/login", b"a=12", "127.0.0.1")]


@pytest.mark.parametrize(
    "head",
    [
        b"POST /login HTTP/1.1\r\n\r\n",
        b"POST /login HTTP/1.1\r\ncontent-length: 4097\r\n\r\n",
        b"POST /login HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
        b"POST /login HTTP/1.1\r\ncontent-length: -1\r\n\r\n",
        b"POST /login HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n",
        b"GET /login HTTP/1.1\r\ncontent-length: 1\r\n\r\n1",
    ],
)
def test_what_is_no_short_form_of_known_length_is_refused(head):
    async def client(door, connect):
        connection = connect()
        connection.send(head)
        assert (await end_of(connection)).startswith(b"HTTP/1.1 401 Unauthorized\r\n")

    assert run_door(client, forms={"/login": None}) == []


def test_a_form_that_does_not_come_is_dropped():
    async def client(door, connect):
        connection = connect()
        connection.send(b"POST /login HTTP/1.1\r\ncontent-length: 4\r\n\r\na=1")
        assert await end_of(connection, 2) == b"" and door.waiting == 0

    assert run_door(client, forms={"/login": None}, request_seconds=0.3) == []


@pytest.mark.parametrize(
    "head",
    [
        b"\x16\x03\x01\n\n",
        b"GET /\r\n\r\n",
        b"GET / HTTP/2\r\n\r\n",
        b"GET / HTTP/1.1\r\nno colon\r\n\r\n",
        b"x" * 20_000,
    ],
)
def test_what_is_no_request_is_dropped_at_once(head):
    async def client(door, connect):
        connection = connect()
        connection.send(head)
        assert await end_of(connection, 1) == b""

    assert run_door(client) == []


def test_who_sends_no_request_in_time_is_dropped():
    async def client(door, connect):
        silent = connect()
        half = connect()
        half.send(b"GET /?token=right HTTP/1.1\r\nHost: ")
        slow = connect()

        async def trickle():
            while True:
                slow.send(b"G")
                await asyncio.sleep(0.03)

        task = asyncio.create_task(trickle())
        start = time.monotonic()
        for connection in (silent, half, slow):
            assert await end_of(connection) == b""
        task.cancel()
        assert time.monotonic() - start > 0.25
        assert door.waiting == 0

    assert run_door(client, request_seconds=0.3) == []


def test_an_address_holds_no_more_than_its_share_and_the_newest_stay(monkeypatch):
    monkeypatch.setattr(door_module, "MAX_WAITING_PER_ADDRESS", 20)

    async def client(door, connect):
        connections = [connect() for _ in range(30)]
        while door.waiting < 20:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert door.waiting == 20
        for connection in connections[:10]:
            assert await end_of(connection, 1) == b""
        connections[-1].send(b"GET /?token=right HTTP/1.0\r\n\r\n")
        await end_of(connections[-1], 1)

    assert len(run_door(client)) == 1


def test_in_all_they_hold_so_many_and_the_greediest_address_loses(monkeypatch):
    monkeypatch.setattr(door_module, "MAX_WAITING", 4)
    addresses = iter(["192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.1", "192.0.2.3"])

    class Listener(socket.socket):
        def accept(self):
            connection, (_, port) = super().accept()
            return connection, (next(addresses), port)

    listener = Listener()
    listener.bind(("127.0.0.1", 0))
    listener.listen()

    async def client(door, connect):
        connections = [connect() for _ in range(5)]
        assert await end_of(connections[0], 1) == b""
        assert door.waiting == 4

    run_door(client, listener)


def test_without_files_the_door_rests_silently(capfd):
    calls = []

    class Listener(socket.socket):
        def accept(self):
            calls.append(time.monotonic())
            if len(calls) == 1:
                raise OSError(errno.EMFILE, "Too many open files")
            return super().accept()

    listener = Listener()
    listener.bind(("127.0.0.1", 0))
    listener.listen()

    async def client(door, connect):
        connection = connect()
        connection.send(b"GET /?token=right HTTP/1.1\r\n\r\n")
        await end_of(connection)

    assert len(run_door(client, listener)) == 1
    assert calls[1] - calls[0] >= door_module.BACK_OFF_SECONDS
    assert len(calls) <= 4
    assert capfd.readouterr() == ("", "")


def test_a_network_of_ipv6_is_one_address():
    network = door_module._network
    assert network("2001:db8:1:2:3::4") == network("2001:db8:1:2::9") == "2001:db8:1:2::/64"
    assert network("fe80::1%eth0") == "fe80::/64"
    assert network("::ffff:192.0.2.1") == network("192.0.2.1") == "192.0.2.1"


def test_a_head_becomes_a_scope():
    head = b"GET /a/%20?token=b&c HTTP/1.1\r\nHost: pi\r\nCookie:  d=e \r\n\r\nbody: no"
    assert parse_head(head) == {
        "type": "http",
        "method": "GET",
        "path": "/a/%20",
        "query_string": b"token=b&c",
        "headers": [(b"host", b"pi"), (b"cookie", b"d=e")],
    }
    assert parse_head(b"GET / HTTP/1.0\n\n")["headers"] == []


def test_with_the_token_the_page_comes_through_a_hundred_that_hold_on(serve, capfd):
    page = serve(token=TOKEN)
    address = ("127.0.0.1", port_of(page))
    starts = (b"", b"GET / HT", b"GET / HTTP/1.1\r\n\r\n", b"\0\n\n")
    with ExitStack() as stack, feeding(page):
        for number in range(200):
            connection = stack.enter_context(socket.create_connection(address, timeout=60))
            connection.sendall(starts[number % len(starts)])
        start = time.monotonic()
        assert ask(page, Authorization=f"Bearer {TOKEN}")[0] == 200
        assert time.monotonic() - start < REQUEST_SECONDS  # Nobody is waited for.
        # Of the connections, only that one had a server's machinery.
        until(lambda: not page.buffered)
    page.close()
    assert capfd.readouterr() == ("", "")


def test_a_refusal_is_there_although_the_body_was_still_being_sent():
    async def client(door, connect):
        connection = connect()
        connection.setblocking(True)
        size = 3_000_000

        def send():
            head = f"POST / HTTP/1.1\r\nContent-Length: {size}\r\n\r\n".encode()
            connection.sendall(head + bytes(size))
            return b"".join(iter(lambda: connection.recv(65_536), b""))

        answer = await asyncio.to_thread(send)
        assert answer.startswith(b"HTTP/1.1 401 ") and answer.endswith(b"no\n")
        connection.close()
        async with asyncio.timeout(5):
            while door.waiting:
                await asyncio.sleep(0.01)

    assert run_door(client) == []


def test_the_beginning_of_a_body_may_come_with_the_head():
    request = b"POST /?token=right HTTP/1.1\r\nContent-Length: 30000\r\n\r\n" + bytes(16_000)

    async def client(door, connect):
        connection = connect()
        connection.send(request)
        await end_of(connection)

    (head,) = run_door(client)
    assert head.startswith(request[:60]) and len(head) > 60
