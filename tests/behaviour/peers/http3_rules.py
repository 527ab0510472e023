"""Clients of HTTP/3 that break rules and flood: http3_rules.py SCENARIO ADDRESS CA [ARGUMENT...]"""

import asyncio
import socket
import sys

from aioquic.buffer import encode_uint_var
from aioquic.quic.connection import QuicConnection

from http3 import HEAD, block, client, configuration, frame, literal, main, settings_frame


def control(it, *frames):
    stream = it.open(one_way=True)
    it.send(stream, b"\x00" + b"".join(frames))
    return stream


def one_way(it, data, end=False):
    it.send(it.open(one_way=True), data, end)


def request(it, *frames, end=False):
    stream = it.open()
    it.send(stream, b"".join(frames), end)
    return stream


def closing(it):
    stream = control(it, settings_frame())
    it.send(stream, b"", True)


GET = frame(0x1, block(*HEAD))

# What is done, and the code that the connection must end with.
VIOLATIONS = {
    "a second control stream": (lambda it: (control(it, settings_frame()), control(it, settings_frame())), 0x103),
    "a push stream": (lambda it: one_way(it, b"\x01\x00"), 0x103),
    "no settings": (lambda it: control(it, frame(0x7, b"\x00")), 0x10A),
    "settings twice": (lambda it: control(it, settings_frame(), settings_frame()), 0x105),
    "a setting of HTTP/2": (lambda it: control(it, frame(0x4, b"\x02\x00")), 0x109),
    "a setting twice": (lambda it: control(it, frame(0x4, b"\x06\x00\x06\x00")), 0x109),
    "data on the control stream": (lambda it: control(it, settings_frame(), frame(0x0, b"x")), 0x105),
    "the end of the control stream": (closing, 0x104),
    "a push limit that shrinks": (
        lambda it: control(it, settings_frame(), frame(0xD, b"\x09"), frame(0xD, b"\x08")),
        0x108,
    ),
    "a push that is cancelled": (lambda it: control(it, settings_frame(), frame(0x3, b"\x00")), 0x108),
    "a GOAWAY that grows": (
        lambda it: control(it, settings_frame(), frame(0x7, b"\x00"), frame(0x7, b"\x04")),
        0x108,
    ),
    "an entry for the table": (lambda it: one_way(it, b"\x02\xc0\x00"), 0x201),
    "a table of some size": (lambda it: one_way(it, b"\x02\x3f\x00"), 0x201),
    "an acknowledgement": (lambda it: one_way(it, b"\x03\x80"), 0x202),
    "two encoder streams": (lambda it: (one_way(it, b"\x02"), one_way(it, b"\x02")), 0x103),
    "a body before the head": (lambda it: request(it, frame(0x0, b"x")), 0x105),
    "settings on a request": (lambda it: request(it, settings_frame()), 0x105),
    "a frame of HTTP/2": (lambda it: request(it, frame(0x8, b"")), 0x105),
    "a promise": (lambda it: request(it, frame(0x5, b"\x00\x00\x00")), 0x105),
    "a body after trailers": (
        lambda it: request(it, frame(0x1, block(*HEAD)), frame(0x1, block(("a", "b"))), frame(0x0, b"x")),
        0x105,
    ),
    "an end within a frame": (lambda it: request(it, b"\x01\x40\x50abc", end=True), 0x106),
    "a reference to the table": (lambda it: request(it, frame(0x1, b"\x00\x00\x80")), 0x200),
    "a block that needs entries": (lambda it: request(it, frame(0x1, b"\x02\x00\x80")), 0x200),
    "a block that breaks off": (lambda it: request(it, frame(0x1, b"\x00\x00\x50\x05ab")), 0x200),
    "a huge unknown frame": (lambda it: request(it, encode_uint_var(0x21) + encode_uint_var(1 << 40)), 0x107),
}


async def violations(address, ca):
    """Each violation ends the connection with the code of the standard; others go on."""
    async with client(address, ca) as other:
        for what, (act, code) in VIOLATIONS.items():
            async with client(address, ca, raw=True) as it:
                act(it)
                ended = await it.ended()
                assert ended == code, f"{what}: {ended:#x} instead of {code:#x}"
        assert (await other.get("/after")).status == 200


def head(**changes):
    fields = {name: value for name, value in HEAD}
    fields.update({":" + name: value for name, value in changes.items()})
    return tuple((name, value) for name, value in fields.items() if value is not None)


MALFORMED = {
    "no path": head(path=None),
    "no scheme": head(scheme=None),
    "no method": head(method=None),
    "two paths": HEAD + ((":path", "/b"),),
    "a pseudo field behind others": (*HEAD[:3], ("a", "b"), HEAD[3]),
    "an unknown pseudo field": HEAD + ((":what", "x"),),
    "a status": HEAD + ((":status", "200"),),
    "an upper case name": HEAD + (("X-Upper", "x"),),
    "a name with a space": HEAD + (("a b", "x"),),
    "an empty name": HEAD + (("", "x"),),
    "a line break": HEAD + (("a", "b\r\nc: d"),),
    "a NUL": HEAD + (("a", b"b\0c"),),
    "a blank in front": HEAD + (("a", " b"),),
    "connection": HEAD + (("connection", "close"),),
    "keep-alive": HEAD + (("keep-alive", "1"),),
    "transfer-encoding": HEAD + (("transfer-encoding", "chunked"),),
    "upgrade": HEAD + (("upgrade", "h2c"),),
    "te": HEAD + (("te", "gzip"),),
    "several equal hosts": HEAD + (("host", "shop.example"), ("host", "shop.example")),
    "another host": HEAD + (("host", "other.example"),),
    "no authority": head(authority=None),
    "a space in the path": head(path="/a b"),
    "a fragment": head(path="/a#b"),
    "a path without a slash": head(path="a"),
    "an absolute path": head(path="http://other.example/"),
    "two lengths": HEAD + (("content-length", "1"), ("content-length", "2")),
    "a length that is none": HEAD + (("content-length", "1, 1"),),
    "a length without a body": HEAD + (("content-length", "1"),),
    "an extended CONNECT": head(method="CONNECT") + ((":protocol", "websocket"),),
}


async def malformed(address, ca):
    """Malformed requests are answered with 400 on their streams, and nothing reaches the endpoint."""
    async with client(address, ca) as it:
        for what, fields in MALFORMED.items():
            answer = await it.answered(request(it, frame(0x1, block(*fields)), end=True))
            assert answer.status == 400, f"{what}: {answer.heads} {answer.code}"
        # Before its end the client is told to stop, and why.
        stream = request(it, frame(0x1, block(*MALFORMED["no path"])))
        answer = await it.answered(stream)
        await it.until("STOP_SENDING", lambda: answer.stop is not None)
        assert (answer.status, answer.stop) == (400, 0x10E), hex(answer.stop)
        # A body of another length than announced.
        for data in (b"toolong", b"sh"):
            fields = head(method="POST", path="/length") + (("content-length", "4"),)
            answer = await it.answered(request(it, frame(0x1, block(*fields)), frame(0x0, data), end=True))
            assert answer.status == 400, f"{data}: {answer.heads} {answer.code}"
        # A stream that ends without a request.
        answer = await it.answered(request(it, end=True))
        assert answer.code == 0x10D, answer.code
        assert (await it.get("/after")).status == 200


async def limits(address, ca):
    """Heads over the limits are refused by name, without being read."""
    async with client(address, ca) as it:
        long = await it.get("/" + "x" * 1100)
        assert long.status == 414, long.heads
        many = await it.get(fields=[(f"x-{n}", "y") for n in range(20)])
        assert many.status == 431, many.heads
        large = await it.get(fields=[("x-large", "y" * 3000)])
        assert large.status == 431, large.heads
        # Of a block that is announced as larger nothing is waited for.
        answer = await it.answered(request(it, b"\x01" + encode_uint_var(1 << 30)))
        assert answer.status == 431, answer.heads
        # A block whose fields are larger than its bytes.
        bomb = b"\0\0\xd1\xd7\xc1" + literal(":authority", "shop.example") + b"\xf5" * 2000
        answer = await it.answered(request(it, frame(0x1, bomb), end=True))
        assert answer.status == 431, answer.heads
        assert (await it.get("/after")).status == 200


async def slow_head(address, ca):
    """A head that does not come to its end."""
    async with client(address, ca) as it:
        answer = await it.answered(request(it, GET[:10]))
        assert answer.status == 408, answer.heads
        assert (await it.get("/after")).status == 200


async def slow_body(address, ca):
    """A body that does not come to its end."""
    async with client(address, ca) as it:
        stream = it.request("POST", "/slow-body", [("content-length", "10")], end=False)
        it.body(stream, b"x", end=False)
        answer = await it.answered(stream)
        assert answer.status == 408, answer.heads
        assert (await it.get("/after")).status == 200


async def slow_reader(address, ca):
    """A client that makes no room for an answer."""
    async with client(address, ca, max_stream_data=20_000) as it:
        it._quic._write_stream_limits = lambda *arguments, **named: None
        answer = await it.answered(it.request(path="/large"))
        assert answer.code == 0x10C, answer.code
        assert len(answer.body) < 30_000, len(answer.body)


def rapid_resets(it):
    for _ in range(100):
        # As many as the other side allows: aioquic would cancel more.
        if it._quic.get_next_available_stream_id() // 4 >= it._quic._remote_max_streams_bidi:
            break
        it.cancel(it.request(path="/slow"))


def empty_data(it):
    if not hasattr(it, "flood"):
        it.flood = request(it, frame(0x1, block(*head(method="POST"))))
    it.send(it.flood, frame(0x0) * 500)


def unknown_frames(it):
    if not hasattr(it, "flood"):
        it.flood = request(it, frame(0x1, block(*head(method="POST"))))
    it.send(it.flood, frame(0x21) * 500)


def control_frames(it):
    it.send(it.http._local_control_stream_id, frame(0xF0700, b"\x00u=1") * 500)


def cancellations(it):
    it.send(it.http._local_decoder_stream_id, b"\x44" * 500)


def one_way_streams(it):
    # As many as the other side allows.
    while (stream := it._quic.get_next_available_stream_id(True)) // 4 < it._quic._remote_max_streams_uni:
        it.send(stream, b"\x21" + b"x")


FLOODS = {
    "resets": rapid_resets,
    "empty data": empty_data,
    "unknown frames": unknown_frames,
    "control frames": control_frames,
    "cancellations": cancellations,
    "one-way streams": one_way_streams,
}


async def floods(address, ca):
    """What costs a client nothing ends its connection, when it is too much."""
    async with client(address, ca) as other:
        for what, flood in FLOODS.items():
            async with client(address, ca) as it:
                async with asyncio.timeout(30):
                    while it.terminated is None:
                        flood(it)
                        await asyncio.sleep(0.01)
                assert it.terminated.error_code == 0x107, f"{what}: {it.terminated}"
        assert (await other.get("/after")).status == 200


async def many_heads(address, ca):
    """Unfinished heads on all streams: what is kept of them is bounded, and the rest waits."""
    async with client(address, ca) as it:
        large = frame(0x1, block(*HEAD, ("x-large", "y" * 40_000)))
        streams = [request(it, large[:-1]) for _ in range(60)]
        for stream in streams:
            it.send(stream, large[-1:], True)
        for stream in streams:
            assert (await it.answered(stream)).status == 200


async def unfinished(address, ca):
    """Handshakes that nobody finishes: from some number on clients must prove their address."""
    host, port = address.rsplit(":", 1)
    peer = (host, int(port))
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
        flood.setblocking(False)

        async def until_retry():
            # A long header of the type Retry.
            while (await loop.sock_recv(flood, 2000))[0] & 0xF0 != 0xF0:
                pass

        retry = asyncio.create_task(until_retry())
        async with asyncio.timeout(10):
            while not retry.done():
                quic = QuicConnection(configuration=configuration(ca))
                quic.connect(peer, now=loop.time())
                for data, _ in quic.datagrams_to_send(now=loop.time()):
                    flood.sendto(data, peer)
                # Its answers are read, lest they be lost.
                await asyncio.sleep(0.005)
    # Who does so is served.
    async with client(address, ca) as it:
        assert it._quic._retry_source_connection_id is not None
        assert (await it.get("/after")).status == 200


async def noise(address, ca, seed):
    """Bytes at random on streams of all kinds: the process goes on."""
    import random

    draw = random.Random(int(seed))
    for _ in range(30):
        async with client(address, ca, raw=True) as it:
            for _ in range(10):
                data = bytes(draw.randrange(256) for _ in range(draw.randrange(1, 200)))
                if draw.random() < 0.5:
                    data = bytes([draw.choice([0, 1, 4, 7])]) + data
                if it.terminated is None:
                    it.send(it.open(one_way=draw.random() < 0.3), data, draw.random() < 0.5)
            await asyncio.sleep(0)
    async with client(address, ca) as it:
        assert (await it.get("/after")).status == 200


if __name__ == "__main__":
    main(globals(), sys.argv[1:])
