"""A gRPC server for the behaviour tests: bytes in, bytes out, no generated code.

Usage: grpc_server.py PORT; says "ready" on standard output.
"""

import sys
import time
from concurrent import futures

import grpc


def unary(request, context):
    if request == b"fail":
        context.abort(grpc.StatusCode.NOT_FOUND, "no such thing: ü 100%")
    if request == b"slow":
        time.sleep(5)
    if request == b"left":
        return str(context.time_remaining()).encode()
    context.send_initial_metadata((("x-head", "seen"),))
    context.set_trailing_metadata((("x-tail-bin", b"\x00\x01\xff"),))
    return request


def fail(request, context):
    context.set_trailing_metadata((("x-why", "gone"),))
    context.abort(grpc.StatusCode.NOT_FOUND, "no such thing: ü 100%")


def repeat(request, context):
    for _ in request:
        yield request


def server_stream(request, context):
    for number in range(int(request)):
        yield b"%d" % number


def endless(request, context):
    while context.is_active():
        yield b"x" * 1024
        time.sleep(0.01)


def client_stream(requests, context):
    return b"%d" % sum(len(request) for request in requests)


def both(requests, context):
    for request in requests:
        yield request.upper()


def held(requests, context):
    """Answers each message, and says on standard output how the call ended."""
    complete = []
    context.add_callback(lambda: print("complete" if complete else "cancelled", flush=True))
    yield b"open"
    for request in requests:
        yield request
    while context.is_active() and not complete:
        if request == b"last":
            complete.append(True)
        time.sleep(0.01)


def main():
    server = grpc.server(
        futures.ThreadPoolExecutor(16),
        options=[("grpc.max_receive_message_length", 8 << 20), ("grpc.so_reuseport", 0)],
    )
    handlers = {
        "Unary": grpc.unary_unary_rpc_method_handler(unary),
        "Fail": grpc.unary_unary_rpc_method_handler(fail),
        "Repeat": grpc.unary_stream_rpc_method_handler(repeat),
        "ServerStream": grpc.unary_stream_rpc_method_handler(server_stream),
        "Endless": grpc.unary_stream_rpc_method_handler(endless),
        "ClientStream": grpc.stream_unary_rpc_method_handler(client_stream),
        "Held": grpc.stream_stream_rpc_method_handler(held),
        "Both": grpc.stream_stream_rpc_method_handler(both),
    }
    service = grpc.method_handlers_generic_handler("peer.Echo", handlers)
    server.add_generic_rpc_handlers((service,))
    server.add_insecure_port(f"127.0.0.1:{sys.argv[1]}")
    server.start()
    print("ready", flush=True)
    server.wait_for_termination()


main()
