"""Well-behaved clients of HTTP/3: http3_client.py SCENARIO ADDRESS CA [ARGUMENT...]"""

import asyncio
import socket
import sys
import zlib

from http3 import client, main


async def get(address, ca):
    """Requests of all kinds, one connection."""
    async with client(address, ca) as it:
        for turn in range(3):
            answer = await it.get(f"/h3/{turn}?a=b%20c")
            assert answer.status == 200, answer.heads
            assert answer.body == f"/h3/{turn}?a=b%20c".encode(), answer.body
        head = await it.answered(it.request("HEAD", "/head"))
        assert (head.status, head.body) == (200, b""), head.heads
        assert head.final[b"content-length"] == b"5", head.heads
        # Many at once.
        streams = [it.request(path=f"/many/{n}") for n in range(100)]
        for n, stream in enumerate(streams):
            answer = await it.answered(stream)
            assert answer.body == f"/many/{n}".encode()
        assert b"alt-svc" not in answer.final, answer.heads


async def statuses(address, ca):
    """Answers without a body, 1xx, trailers, and methods that are refused."""
    async with client(address, ca) as it:
        for status in (204, 304):
            answer = await it.get(f"/status/{status}")
            assert (answer.status, answer.body) == (status, b""), answer.heads
        hints = await it.get("/hints")
        assert [dict(head)[b":status"] for head in hints.heads] == [b"103", b"200"], hints.heads
        assert dict(hints.heads[0])[b"link"] == b"</a.css>; rel=preload"
        trailers = await it.get("/trailers")
        assert trailers.body == b"with trailers", trailers.body
        assert trailers.trailers == {b"x-sum": b"7"}, trailers.heads
        connect = await it.answered(connect_request(it))
        assert connect.status == 405, connect.heads
        trace = await it.answered(it.request("TRACE"))
        assert trace.status == 405, trace.heads


def connect_request(it):
    stream = it._quic.get_next_available_stream_id()
    it.http.send_headers(stream, [(b":method", b"CONNECT"), (b":authority", b"a.example:1")], True)
    it.answer(stream)
    it.transmit()
    return stream


async def bodies(address, ca):
    """Bodies of requests: with and without a length, with trailers, large, awaited."""
    async with client(address, ca) as it:
        known = it.request("POST", "/echo", [("content-length", "5")], end=False)
        it.body(known, b"hello")
        assert (await it.answered(known)).body == b"5 hello"
        unknown = it.request("POST", "/echo", end=False)
        it.body(unknown, b"hel", end=False)
        it.body(unknown, b"lo")
        assert (await it.answered(unknown)).body == b"5 hello"
        trailed = it.request("POST", "/echo", end=False)
        it.body(trailed, b"hello", end=False)
        it.http.send_headers(trailed, [(b"x-sum", b"7")], True)
        it.transmit()
        assert (await it.answered(trailed)).body == b"5 hello x-sum=7"
        # Many times the windows, both ways.
        large = it.request("POST", "/back", end=False)
        data = bytes(range(256)) * 4096 * 4
        it.body(large, data)
        answer = await it.answered(large)
        assert answer.body == data, len(answer.body)
        awaited = it.request("POST", "/echo", [("expect", "100-continue"), ("content-length", "2")], end=False)
        answer = it.answer(awaited)
        await it.until("100", lambda: answer.heads)
        assert answer.fields[b":status"] == b"100", answer.heads
        it.body(awaited, b"ok")
        assert (await it.answered(awaited)).body == b"2 ok"


async def early(address, ca):
    """An answer that comes before the end of the request: the client is told to stop, in order."""
    async with client(address, ca) as it:
        stream = it.request("POST", "/early", end=False)
        it.body(stream, b"x" * 1000, end=False)
        answer = await it.answered(stream)
        assert answer.status == 403, answer.heads
        await it.until("STOP_SENDING", lambda: answer.stop is not None)
        assert answer.stop == 0x100, hex(answer.stop)
        # The connection goes on.
        assert (await it.get("/after")).status == 200


async def uploads(address, ca):
    """Uploads that are refused while most of them is on its way: the answer comes whole."""
    async with client(address, ca) as it:
        for path, length in (("/refused", 1_000_000), ("/bounded", None)):
            stream = it.request("POST", path, end=False)
            it.body(stream, b"x" * 4_000_000, end=False)
            answer = await it.answered(stream)
            assert answer.status == 413, answer.heads
            assert answer.code is None, hex(answer.code)
            assert length is None or answer.body == b"n" * length, len(answer.body)
            await it.until("STOP_SENDING", lambda: answer.stop is not None)
            assert answer.stop == 0x100, hex(answer.stop)
        assert (await it.get("/after")).status == 200


async def events(address, ca):
    """Tells each event of a stream when it arrives."""
    async with client(address, ca) as it:
        print("ready", flush=True)
        answer = it.answer(it.request(path="/events", fields=[("accept-encoding", "gzip")]))
        unpack = zlib.decompressobj(31)
        told = 0
        text = b""
        while not answer.ended or told < len(answer.body):
            arrived = lambda: answer.ended or len(answer.body) > told
            await it.until("an event", arrived)
            new, told = answer.body[told:], len(answer.body)
            text += unpack.decompress(new) if answer.final.get(b"content-encoding") else new
            *events, text = text.split(b"\n\n")
            for event in events:
                print(event.decode(), flush=True)


async def compressed(address, ca):
    """An answer is compressed for a client that says so, and for no other."""
    async with client(address, ca) as it:
        expected = b"all work and no play " * 5000
        plain = await it.get("/")
        assert plain.body == expected and b"content-encoding" not in plain.final, plain.heads
        packed = await it.get("/", fields=[("accept-encoding", "gzip")])
        assert packed.final[b"content-encoding"] == b"gzip", packed.heads
        assert packed.final[b"vary"].lower() == b"accept-encoding", packed.heads
        assert len(packed.body) < 5000 and zlib.decompress(packed.body, 31) == expected
        head = await it.answered(it.request("HEAD", "/", [("accept-encoding", "gzip")]))
        assert (head.status, head.body) == (200, b""), head.heads


async def bound(address, ca, bytes_max):
    """Bodies that announce too much, and that bring too much."""
    size = int(bytes_max)
    async with client(address, ca) as it:
        announced = it.request("POST", "/", [("content-length", str(size + 1))], end=False)
        brought = it.request("POST", "/", end=False)
        it.body(brought, b"x" * size, end=False)
        fits = it.request("POST", "/", end=False)
        it.body(fits, b"x" * size)
        it.body(brought, b"x")
        for stream, status in ((announced, 413), (brought, 413), (fits, 200)):
            answer = await it.answered(stream)
            assert answer.status == status, (stream, answer.heads)
            assert status == 200 or b"10MiB" in answer.body, answer.body


async def cut(address, ca):
    """A body that the endpoint breaks off never ends in order."""
    async with client(address, ca) as it:
        for path in ("/cut", "/cut-chunk"):
            answer = await it.get(path)
            assert answer.code == 0x102, (path, answer.code)


async def cancel(address, ca):
    """A client that loses interest."""
    async with client(address, ca) as it:
        stream = it.request(path="/slow")
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        it.cancel(stream)
        assert (await it.get("/after")).status == 200


async def hold(address, ca):
    """Holds a request under way while the test changes something, and tells what came of it."""
    async with client(address, ca) as it:
        stream = it.request(path="/held")
        print("ready", flush=True)
        answer = await it.answered(stream)
        print(answer.status, answer.body.decode(), flush=True)
        code = await it.ended()
        print("ended", hex(code), flush=True)


async def keep(address, ca):
    """Asks for each line of input on one connection."""
    async with client(address, ca) as it:
        print("ready", flush=True)
        while line := await asyncio.to_thread(sys.stdin.readline):
            answer = await it.get(line.strip())
            print(answer.status, answer.body.decode(), flush=True)


async def identity(address, ca, chain, key):
    """A client with a certificate, and one without."""
    async with client(address, ca, chain=(chain, key)) as it:
        answer = await it.get("/certified")
        assert answer.status == 200, answer.heads
        other = await it.get("/", authority="other.example")
        assert other.status == 421, other.heads
    try:
        async with client(address, ca) as it:
            answer = await it.get("/bare")
            raise AssertionError(f"served without a certificate: {answer.heads}")
    except (ConnectionError, AssertionError) as error:
        assert "served" not in str(error), error


async def admitted(address, ca, chain, key):
    """A client whose certificate is good."""
    async with client(address, ca, chain=(chain, key)) as it:
        answer = await it.get("/certified")
        assert answer.status == 200, answer.heads


async def outcast(address, ca, chain, key):
    """A client whose certificate is not wanted."""
    try:
        async with client(address, ca, chain=(chain, key)) as it:
            answer = await it.get("/revoked")
            raise AssertionError(f"served: {answer.heads}")
    except (ConnectionError, AssertionError) as error:
        assert "served" not in str(error), error


async def moves(address, ca):
    """A client whose port changes with each request, as behind a NAT that forgets."""
    async with client(address, ca) as it:
        for turn in range(12):
            answer = await it.get(f"/moved/{turn}")
            assert answer.body == f"/moved/{turn}".encode(), answer.heads
            await move(it, "::")


async def move(it, to):
    """Goes on at another port of an address."""
    moved = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    moved.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    moved.bind((to, 0))
    before = it._transport
    await asyncio.get_running_loop().create_datagram_endpoint(lambda: it, sock=moved)
    before.abort()


async def relocates(address, ca):
    """A client whose IP address becomes another one: what is under way ends, nothing else is served."""
    async with client(address, ca) as it:
        assert (await it.get("/inner/first")).status == 200
        assert (await it.get("/outer")).status == 403
        held = it.request(path="/held")
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        await move(it, "::ffff:127.0.0.77")
        # Neither with the rights of the old address nor with those of the new one.
        for path in ("/inner/moved", "/outer"):
            answer = await it.get(path)
            assert (answer.code, answer.heads) == (0x10B, []), (path, answer.code, answer.heads)
        await move(it, "::ffff:127.0.0.1")
        answer = await it.get("/inner/back")
        assert answer.code == 0x10B, (answer.code, answer.heads)
        print("refused", flush=True)
        answer = await it.answered(held)
        assert (answer.status, answer.body) == (200, b"held"), answer.heads
        code = await it.ended()
        assert code == 0x100, hex(code)


async def serial(address, ca):
    """Tells the serial number of the certificate that is presented."""
    async with client(address, ca) as it:
        print("ready", flush=True)
        certificate = it._quic.tls._peer_certificate
        digits = format(certificate.serial_number, "X")
        print(digits if len(digits) % 2 == 0 else "0" + digits, flush=True)


async def refused(address, ca):
    """A connection that is refused."""
    try:
        async with client(address, ca, idle_timeout=2.0) as it:
            await it.get("/")
    except (ConnectionError, AssertionError):
        return
    raise AssertionError("served")


async def deaf(address, ca, least, most):
    """A client that goes on whatever it is told: the number of requests that are served is bounded."""
    async with client(address, ca) as it:
        served = 0
        for turn in range(30):
            answer = await it.get(f"/deaf/{turn}")
            if answer.status != 200:
                break
            served += 1
        assert int(least) <= served <= int(most), served
        assert answer.code == 0x10B, answer.code
        await it.ended()


async def crowd(address, ca, count):
    """So many connections at once, each with a request."""

    async def one(n):
        async with client(address, ca) as it:
            answer = await it.get(f"/crowd/{n}")
            assert answer.body == f"/crowd/{n}".encode()

    await asyncio.gather(*(one(n) for n in range(int(count))))


if __name__ == "__main__":
    main(globals(), sys.argv[1:])
