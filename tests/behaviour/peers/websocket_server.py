"""A WebSocket server that echoes.

Usage: websocket_server.py PORT; says "ready" on standard output.
"""

import asyncio
import sys

from websockets.asyncio.server import serve


async def echo(socket):
    async for message in socket:
        if message == "close":
            await socket.close(4001, "as asked")
            return
        await socket.send(message)


async def main():
    options = {"max_size": 8 << 20, "subprotocols": ["chat"]}
    async with serve(echo, "127.0.0.1", int(sys.argv[1]), **options) as server:
        print("ready", flush=True)
        await server.serve_forever()


asyncio.run(main())
