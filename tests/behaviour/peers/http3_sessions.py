"""A client of HTTP/3 that keeps its tickets: http3_sessions.py keep ADDRESS CA [CHAIN KEY]

Reads lines from its input: `fresh` connects without a ticket, `again` with the last one. Tells for
each what the handshake was, and the status: `full 200`, `resumed 200`, or `refused`.
"""

import asyncio
import sys

from http3 import client, main


async def ask(address, ca, chain, ticket, tickets):
    async with client(address, ca, chain=chain, session_ticket=ticket, keep=tickets.append) as it:
        resumed = it._quic.tls.session_resumed
        shown = it._quic.tls._peer_certificate is not None
        assert shown != resumed, "a certificate is shown without a session, and only then"
        answer = await it.get("/")
        return f"{'resumed' if resumed else 'full'} {answer.status}"


async def connected(*arguments):
    try:
        return await ask(*arguments)
    except ConnectionError:
        return "refused"
    except AssertionError as error:
        # The client is the first to think that the handshake is complete.
        if "ended before" in str(error):
            return "refused"
        raise


async def keep(address, ca, *chain):
    print("ready", flush=True)
    tickets = []
    while line := await asyncio.to_thread(sys.stdin.readline):
        ticket = tickets[-1] if line.strip() == "again" else None
        print(await connected(address, ca, chain, ticket, tickets), flush=True)
        for ticket in tickets:
            assert not ticket.max_early_data_size, "early data is offered"


if __name__ == "__main__":
    main(globals(), sys.argv[1:])
