"""Calls the server of grpc_server.py through the proxy, in every way there is.

Usage: grpc_client.py HOST:PORT; ends with 0 when everything held.
"""

import sys
import time

import grpc

channel = grpc.insecure_channel(
    sys.argv[1],
    options=[("grpc.max_receive_message_length", 8 << 20), ("grpc.enable_retries", 0)],
)
unary = channel.unary_unary("/peer.Echo/Unary")
server_stream = channel.unary_stream("/peer.Echo/ServerStream")
endless = channel.unary_stream("/peer.Echo/Endless")
client_stream = channel.stream_unary("/peer.Echo/ClientStream")
both = channel.stream_stream("/peer.Echo/Both")


def code_of(call):
    try:
        call()
    except grpc.RpcError as error:
        return error.code(), error.details()
    raise AssertionError("the call should have failed")


# Unary, with metadata at both ends.
answer, call = unary.with_call(b"hello", timeout=20)
assert answer == b"hello", answer
assert ("x-head", "seen") in [(k, v) for k, v in call.initial_metadata()]
assert ("x-tail-bin", b"\x00\x01\xff") in [(k, v) for k, v in call.trailing_metadata()]
assert unary(b"", timeout=20) == b""

# A message of 1 MiB each way, several at once.
large = bytes(range(256)) * 4096
calls = [unary.future(large, timeout=30) for _ in range(4)]
assert all(call.result() == large for call in calls)

# The streaming kinds.
assert list(server_stream(b"100", timeout=20)) == [b"%d" % n for n in range(100)]
assert list(server_stream(b"0", timeout=20)) == []
assert client_stream((b"x" * 1000 for _ in range(200)), timeout=20) == b"200000"
assert list(both((b"a%d" % n for n in range(50)), timeout=20)) == [b"A%d" % n for n in range(50)]


# In turn: each answer is awaited before the next question is asked.
def questions():
    for number in range(5):
        asked.append(number)
        yield b"q%d" % number
        while len(answered) <= number:
            time.sleep(0.001)


asked, answered = [], []
for answer in both(questions(), timeout=20):
    answered.append(answer)
    assert len(asked) - len(answered) <= 1, "answers are not held back"
assert answered == [b"Q%d" % n for n in range(5)]

# A status with its message.
code, details = code_of(lambda: unary(b"fail", timeout=20))
assert code == grpc.StatusCode.NOT_FOUND, code
assert details == "no such thing: ü 100%", details
code, _ = code_of(lambda: channel.unary_unary("/peer.Echo/Missing")(b"", timeout=20))
assert code == grpc.StatusCode.UNIMPLEMENTED, code

# Deadlines: the server is told what is left (clients round it up), and one that is over is
# told as such.
left = float(unary(b"left", timeout=20))
assert 10 < left < 20.5, left
begun = time.monotonic()
code, _ = code_of(lambda: unary(b"slow", timeout=0.5))
assert code == grpc.StatusCode.DEADLINE_EXCEEDED, code
assert time.monotonic() - begun < 3

# Cancellation in the middle of an endless answer; the connection lives on.
stream = endless(b"", timeout=30)
assert len(next(stream)) == 1024
stream.cancel()
try:
    for _ in stream:
        pass
    raise AssertionError("a cancelled call goes on")
except grpc.RpcError as error:
    assert error.code() == grpc.StatusCode.CANCELLED, error
assert unary(b"still here", timeout=20) == b"still here"
print("all calls held")
