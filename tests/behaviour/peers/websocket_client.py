"""Talks to websocket_server.py through the proxy.

Usage: websocket_client.py HOST:PORT; ends with 0 when everything held.
"""

import asyncio
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed


async def main():
    url = f"ws://{sys.argv[1]}/chat?room=1"
    async with connect(url, max_size=8 << 20, subprotocols=["chat"]) as socket:
        assert socket.subprotocol == "chat", socket.subprotocol
        large = bytes(range(256)) * 4096
        for message in ["hello ü", "", b"\x00\xff", large]:
            await socket.send(message)
            answer = await socket.recv()
            assert answer == message, message[:20]
        # Fragments and a ping in between.
        await socket.send(["a", "b", "c"])
        assert await socket.recv() == "abc"
        await asyncio.wait_for(await socket.ping(), 10)
        # Both ways at once.
        messages = [f"message {n}" * n for n in range(300)]

        async def read():
            return [await socket.recv() for _ in messages]

        reading = asyncio.create_task(read())
        for message in messages:
            await socket.send(message)
        assert await reading == messages
        # The server's close code arrives.
        await socket.send("close")
        try:
            await asyncio.wait_for(socket.recv(), 10)
            raise AssertionError("a closed socket still speaks")
        except ConnectionClosed as closed:
            assert closed.rcvd.code == 4001, closed
            assert closed.rcvd.reason == "as asked", closed
    print("all held")


asyncio.run(main())
