"""A client of HTTP/3, also one that breaks the rules. Scenarios of http3_client.py and http3_rules.py use it."""

import asyncio
import contextlib
import ssl

from aioquic.asyncio import QuicConnectionProtocol, connect
from aioquic.buffer import encode_uint_var
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from aioquic.quic.events import (
    ConnectionTerminated,
    StopSendingReceived,
    StreamDataReceived,
    StreamReset,
)

PATIENCE = 10


class Answer:
    """What has come on a stream."""

    def __init__(self):
        self.heads = []
        self.body = b""
        self.raw = b""
        self.code = None
        self.stop = None
        self.told = asyncio.Condition()
        self.ended = False

    @property
    def fields(self):
        return dict(self.heads[-1]) if self.heads else {}

    @property
    def final(self):
        """The fields of the final response, not of trailers."""
        for head in self.heads:
            fields = dict(head)
            if b":status" in fields and not fields[b":status"].startswith(b"1"):
                return fields
        return {}

    @property
    def status(self):
        status = self.final.get(b":status")
        return int(status) if status else None

    @property
    def trailers(self):
        last = self.fields
        return {} if b":status" in last else last


class Http(H3Connection):
    """HTTP/3 that knows of answers whose length is that of another body: to HEAD, and 304."""

    def __init__(self, quic):
        super().__init__(quic)
        self.bodiless = set()

    def _check_content_length(self, stream):
        if stream.stream_id not in self.bodiless:
            super()._check_content_length(stream)


class Client(QuicConnectionProtocol):
    """A connection. With `raw` there is no HTTP/3 on it but what the scenario sends itself."""

    raw = False

    def __init__(self, *arguments, **named):
        super().__init__(*arguments, **named)
        self.http = None if self.raw else Http(self._quic)
        self.answers = {}
        self.terminated = None
        self.changed = asyncio.Event()
        self.goaways = []

    def answer(self, stream):
        return self.answers.setdefault(stream, Answer())

    def quic_event_received(self, event):
        if isinstance(event, ConnectionTerminated):
            self.terminated = event
        elif isinstance(event, StreamReset):
            self.answer(event.stream_id).code = event.error_code
            self.answer(event.stream_id).ended = True
        elif isinstance(event, StopSendingReceived):
            self.answer(event.stream_id).stop = event.error_code
        elif isinstance(event, StreamDataReceived) and self.http is None:
            answer = self.answer(event.stream_id)
            answer.raw += event.data
            answer.ended |= event.end_stream
        if self.http is not None:
            for happened in self.http.handle_event(event):
                answer = self.answer(happened.stream_id)
                if isinstance(happened, HeadersReceived):
                    answer.heads.append(happened.headers)
                elif isinstance(happened, DataReceived):
                    answer.body += happened.data
                answer.ended |= happened.stream_ended
        self.changed.set()

    async def until(self, what, condition):
        """Waits until the condition holds."""
        async with asyncio.timeout(PATIENCE):
            while not (value := condition()):
                if self.terminated is not None and what != "end":
                    raise AssertionError(f"ended before {what}: {self.terminated}")
                self.changed.clear()
                await self.changed.wait()
        return value

    def request(self, method="GET", path="/", fields=(), end=True, authority="shop.example"):
        """Sends the head of a request; returns the stream."""
        stream = self._quic.get_next_available_stream_id()
        head = [
            (b":method", method.encode()),
            (b":scheme", b"https"),
            (b":authority", authority.encode()),
            (b":path", path.encode()),
        ]
        head += [(name.encode(), value.encode()) for name, value in fields]
        if method == "HEAD" or path.endswith("/304"):
            self.http.bodiless.add(stream)
        self.http.send_headers(stream, head, end)
        self.answer(stream)
        self.transmit()
        return stream

    def body(self, stream, data, end=True):
        self.http.send_data(stream, data, end)
        self.transmit()

    async def answered(self, stream):
        answer = self.answer(stream)
        await self.until(f"the answer on stream {stream}", lambda: answer.ended)
        return answer

    async def get(self, path="/", **named):
        return await self.answered(self.request(path=path, **named))

    def send(self, stream, data, end=False):
        """Sends bytes of a stream as they are."""
        self._quic.send_stream_data(stream, data, end)
        self.transmit()

    def open(self, one_way=False):
        stream = self._quic.get_next_available_stream_id(is_unidirectional=one_way)
        # Taken, even before anything is sent on it.
        self._quic.send_stream_data(stream, b"", False)
        return stream

    def cancel(self, stream, code=0x10C):
        """Cancels a request in both directions."""
        with contextlib.suppress(Exception):
            self._quic.reset_stream(stream, code)
        with contextlib.suppress(Exception):
            self._quic.stop_stream(stream, code)
        self.transmit()

    async def ended(self):
        """Waits for the end of the connection; returns its code."""
        await self.until("end", lambda: self.terminated is not None)
        return self.terminated.error_code


class RawClient(Client):
    raw = True


def configuration(ca, name="shop.example", chain=None, **named):
    named.setdefault("idle_timeout", 30.0)
    settings = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, server_name=name, **named)
    settings.load_verify_locations(ca)
    settings.verify_mode = ssl.CERT_REQUIRED
    if chain:
        settings.load_cert_chain(*chain)
    return settings


@contextlib.asynccontextmanager
async def client(address, ca, raw=False, name="shop.example", chain=None, keep=None, **named):
    """A connection; `keep` is given the tickets for later ones."""
    host, port = address.rsplit(":", 1)
    settings = configuration(ca, name, chain, **named)
    protocol = RawClient if raw else Client
    async with connect(
        host.strip("[]"),
        int(port),
        configuration=settings,
        create_protocol=protocol,
        session_ticket_handler=keep,
    ) as connection:
        yield connection


def frame(kind, payload=b""):
    return encode_uint_var(kind) + encode_uint_var(len(payload)) + payload


def settings_frame():
    return frame(0x4, encode_uint_var(0x1) + encode_uint_var(0))


def literal(name, value):
    """A field of a block, written out."""
    name, value = name.encode(), value.encode() if isinstance(value, str) else value
    first = bytes([0x20 | len(name)]) if len(name) < 7 else bytes([0x27]) + integer(len(name) - 7)
    length = bytes([len(value)]) if len(value) < 127 else b"\x7f" + integer(len(value) - 127)
    return first + name + length + value


def integer(number):
    out = b""
    while number >= 0x80:
        out += bytes([0x80 | number & 0x7F])
        number >>= 7
    return out + bytes([number])


def block(*fields):
    return b"\0\0" + b"".join(literal(name, value) for name, value in fields)


HEAD = (
    (":method", "GET"),
    (":scheme", "https"),
    (":authority", "shop.example"),
    (":path", "/"),
)


def main(scenarios, arguments):
    name, *rest = arguments
    asyncio.run(scenarios[name](*rest))
