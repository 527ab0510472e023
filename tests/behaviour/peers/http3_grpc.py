"""gRPC over HTTP/3, before the server of grpc_server.py: http3_grpc.py SCENARIO ADDRESS CA"""

import sys
import time

from http3 import client, main

FIELDS = [("content-type", "application/grpc"), ("te", "trailers")]


def message(data):
    return b"\0" + len(data).to_bytes(4) + data


def messages(body):
    """The messages of a body that have come whole."""
    found = []
    while len(body) >= 5 and len(body) >= (end := 5 + int.from_bytes(body[1:5])):
        assert body[0] == 0, "not compressed"
        found.append(body[5:end])
        body = body[end:]
    return found


class Call:
    """A call of a method of the server."""

    def __init__(self, connection, method, *fields):
        self.connection = connection
        self.stream = connection.request("POST", method, FIELDS + list(fields), end=False)
        self.answer = connection.answer(self.stream)

    def send(self, data, end=False):
        self.connection.body(self.stream, message(data), end)

    def end(self):
        self.connection.body(self.stream, b"")

    async def next(self, number):
        """Waits for this many messages; returns the last of them."""
        come = lambda: len(messages(self.answer.body)) >= number
        await self.connection.until(f"message {number} of stream {self.stream}", come)
        return messages(self.answer.body)[number - 1]

    async def done(self):
        """Waits for the end; returns the messages and the fields with the status."""
        answer = await self.connection.answered(self.stream)
        assert answer.code is None, hex(answer.code)
        assert answer.status == 200, answer.heads
        assert answer.final[b"content-type"].startswith(b"application/grpc"), answer.heads
        return messages(answer.body), answer.trailers or answer.final


def start(connection, name, *fields):
    return Call(connection, f"/peer.Echo/{name}", *fields)


async def one(connection, name, *data, fields=()):
    """Makes a call whose messages are sent at once."""
    call = start(connection, name, *fields)
    for piece in data:
        call.send(piece)
    call.end()
    return await call.done()


async def kinds(address, ca):
    """The four kinds of calls, with metadata, and messages from none to 1 MiB."""
    async with client(address, ca) as it:
        call = start(it, "Unary")
        call.send(b"hello", end=True)
        assert await call.done() == ([b"hello"], call.answer.trailers)
        assert call.answer.final[b"x-head"] == b"seen", call.answer.heads
        assert call.answer.trailers[b"grpc-status"] == b"0", call.answer.heads
        assert call.answer.trailers[b"x-tail-bin"] == b"AAH/", call.answer.heads
        assert (await one(it, "Unary", b""))[0] == [b""]
        large = bytes(range(256)) * 4096
        calls = [start(it, "Unary") for _ in range(4)]
        for call in calls:
            call.send(large, end=True)
        for call in calls:
            assert (await call.done())[0] == [large]
        for count in (100, 0):
            told, status = await one(it, "ServerStream", b"%d" % count)
            assert told == [b"%d" % n for n in range(count)], told
            assert status[b"grpc-status"] == b"0", status
        told, status = await one(it, "ClientStream", *[b"x" * 1000] * 200)
        assert (told, status[b"grpc-status"]) == ([b"200000"], b"0"), (told, status)


async def turns(address, ca):
    """Messages of a client that ends last: each is answered before the next one is sent."""
    async with client(address, ca) as it:
        calls = [start(it, "Both") for _ in range(2)]
        for turn in range(1, 21):
            for n, call in enumerate(calls):
                call.send(b"q%d of %d" % (turn, n))
                assert await call.next(turn) == b"Q%d OF %d" % (turn, n)
        for call in calls:
            assert not call.answer.ended
            call.end()
            told, status = await call.done()
            assert (len(told), status[b"grpc-status"]) == (20, b"0"), (told, status)


async def statuses(address, ca):
    """Failures of the server: with trailers, and with trailers only."""
    async with client(address, ca) as it:
        for name, data in (("Unary", b"fail"), ("Fail", b"")):
            told, status = await one(it, name, data)
            assert (told, status[b"grpc-status"]) == ([], b"5"), status
            assert status[b"grpc-message"] == b"no such thing: %C3%BC 100%25", status
        assert status[b"x-why"] == b"gone", status
        call = start(it, "Missing")
        call.send(b"", end=True)
        _, status = await call.done()
        assert status[b"grpc-status"] == b"12", status
        # Head and trailers are one.
        assert len(call.answer.heads) == 1 and not call.answer.trailers, call.answer.heads


async def deadlines(address, ca):
    """The server is told what is left, and a deadline that passes is told as such."""
    async with client(address, ca) as it:
        told, _ = await one(it, "Unary", b"left", fields=[("grpc-timeout", "20S")])
        assert 10 < float(told[0]) < 20.5, told
        begun = time.monotonic()
        told, status = await one(it, "Unary", b"slow", fields=[("grpc-timeout", "300m")])
        assert (told, status[b"grpc-status"]) == ([], b"4"), status
        assert time.monotonic() - begun < 3
        # Under way: the message that has come stays, the status is in the trailers.
        call = start(it, "Held", ("grpc-timeout", "300m"))
        told, status = await call.done()
        assert (told, call.answer.trailers[b"grpc-status"]) == ([b"open"], b"4"), call.answer.heads


async def cancels(address, ca):
    """Cancels calls in each way that QUIC has; the test sees that the server is told."""
    async with client(address, ca) as it:
        print("ready", flush=True)
        for way in ("both", "reset", "stop"):
            call = start(it, "Held")
            assert await call.next(1) == b"open"
            call.send(b"on", end=way == "stop")
            assert await call.next(2) == b"on"
            if way != "stop":
                it._quic.reset_stream(call.stream, 0x10C)
            if way != "reset":
                it._quic.stop_stream(call.stream, 0x10C)
            it.transmit()
            print(way, flush=True)
            sys.stdin.readline()
            # The others on the connection notice nothing.
            assert (await one(it, "Unary", b"still here"))[0] == [b"still here"]


async def failures(address, ca):
    """Failures of the proxy, in the words of gRPC."""
    async with client(address, ca) as it:
        expected = {"none": b"12", "dead": b"14", "silent": b"4"}
        for service, expected in expected.items():
            call = Call(it, f"/{service}.Service/Call", ("grpc-timeout", "300m"))
            call.send(b"hi", end=True)
            told, status = await call.done()
            assert (told, status[b"grpc-status"]) == ([], expected), status


if __name__ == "__main__":
    main(globals(), sys.argv[1:])
