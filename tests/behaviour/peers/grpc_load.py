"""Calls the server of grpc_server.py through the proxy until its standard input ends.

Usage: grpc_load.py HOST:PORT; says "ready" when every kind of call has been answered once,
and at the end what it did. Ends with 0 when no call failed and no stream broke.
"""

import sys
import threading

import grpc

channel = grpc.insecure_channel(sys.argv[1], options=[("grpc.enable_retries", 0)])
unary = channel.unary_unary("/peer.Echo/Unary")
both = channel.stream_stream("/peer.Echo/Both")
stopping = threading.Event()
faults = []


class Maker(threading.Thread):
    def __init__(self, name, make):
        super().__init__(daemon=True)
        self.name, self.make, self.fine, self.begun = name, make, 0, threading.Event()

    def run(self):
        try:
            self.make(self)
        except Exception as error:
            faults.append(f"{self.name} after {self.fine}: {error!r}")
        self.begun.set()

    def note(self):
        self.fine += 1
        self.begun.set()
        return not stopping.wait(0.004)


def calls(maker):
    while True:
        question = b"call %d" % maker.fine
        answer = unary(question, timeout=20)
        assert answer == question, answer
        if not maker.note():
            return


def stream(maker):
    answered = threading.Semaphore(0)

    # Asks when the last answer has come; one stream from the first reload to the last.
    def questions():
        yield b"q0"
        while not stopping.is_set():
            answered.acquire()
            yield b"q%d" % maker.fine

    for answer in both(questions()):
        assert answer == b"Q%d" % maker.fine, answer
        maker.note()
        answered.release()


makers = [Maker("unary", calls), Maker("unary", calls)]
makers += [Maker("stream", stream) for _ in range(3)]
for maker in makers:
    maker.start()
for maker in makers:
    maker.begun.wait(20)
print("ready", flush=True)
sys.stdin.read()
stopping.set()
for maker in makers:
    maker.join(20)
    if maker.is_alive():
        faults.append(f"{maker.name} after {maker.fine}: did not end")
print(", ".join(f"{maker.name} {maker.fine}" for maker in makers))
if faults:
    sys.exit("\n".join(faults))
