"""A client of Eureka for the behaviour tests: enters an instance of ORDERS and reads all of them.

Usage: eureka_client.py URL PORT; says "ready" when it is registered. At the end of its input it says
what it found, a line "found HOST:PORT" for each instance, and removes its own.
"""

import asyncio
import sys

import py_eureka_client.eureka_client as eureka_client


def found(client):
    applications = client.applications.get_application("ORDERS")
    return [f"{it.ipAddr}:{it.port.port}" for it in applications.instances]


async def main():
    url, port = sys.argv[1], int(sys.argv[2])
    client = await eureka_client.init_async(
        eureka_server=url,
        app_name="ORDERS",
        instance_host="127.0.0.1",
        instance_ip="127.0.0.1",
        instance_port=port,
        renewal_interval_in_secs=1,
        duration_in_secs=10,
        metadata={"version": "1.4.2", "zone": "a"},
    )
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)
    for _ in range(100):
        if f"127.0.0.1:{port}" in found(client):
            break
        await asyncio.sleep(0.1)
    for address in found(client):
        print("found", address)
    await eureka_client.stop_async()


asyncio.run(main())
