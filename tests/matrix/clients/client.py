"""Python's clients in the matrix: `client.py KIND`, KIND is requests, httpx, httpx-h2 or aiohttp."""

import asyncio
import hashlib
import json
import sys


def body_of(case):
    if case.get("body") is None:
        return None
    return bytes(n % 251 for n in range(case["body"]))


def pieces(body):
    return [body[at : at + 8192] for at in range(0, len(body), 8192)]


def headers_of(case):
    headers = [("accept-encoding", "identity"), ("user-agent", "matrix")]
    if case.get("body") is not None:
        headers.append(("content-type", "application/octet-stream"))
    given = {name.lower() for name, _ in case["headers"]}
    return [pair for pair in headers if pair[0] not in given] + [tuple(p) for p in case["headers"]]


def told(status, pairs, content):
    headers = {}
    for name, value in pairs:
        headers.setdefault(name.lower(), []).append(value)
    return {
        "status": status,
        "headers": headers,
        "length": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "text": content.decode("latin-1") if len(content) < 10_000 else "",
    }


def with_requests(task):
    import requests

    session = requests.Session()
    session.trust_env = False
    for case in task["cases"]:
        body = body_of(case)
        data = iter(pieces(body)) if case.get("chunked") else body
        merged = {}
        for name, value in headers_of(case):
            merged[name] = f"{merged[name]}, {value}" if name in merged else value
        try:
            answer = session.request(
                case["method"],
                task["base"] + case["target"],
                headers=merged,
                data=data,
                allow_redirects=False,
                stream=True,
                timeout=20,
            )
            content = answer.raw.read(decode_content=False)
            yield told(answer.status_code, answer.raw.headers.items(), content)
        except Exception as error:
            yield {"error": f"{type(error).__name__}: {error}"}


def with_httpx(task, http2=False):
    import httpx

    with httpx.Client(http2=http2, verify=False, timeout=20, trust_env=False) as client:
        for case in task["cases"]:
            body = body_of(case)
            content = iter(pieces(body)) if case.get("chunked") else body
            try:
                request = client.build_request(
                    case["method"],
                    task["base"] + case["target"],
                    headers=headers_of(case),
                    content=content,
                )
                answer = client.send(request, stream=True)
                content = b"".join(answer.iter_raw())
                yield told(answer.status_code, answer.headers.multi_items(), content)
            except Exception as error:
                yield {"error": f"{type(error).__name__}: {error}"}


async def with_aiohttp(task):
    import aiohttp
    from multidict import CIMultiDict
    from yarl import URL

    answers = []
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(auto_decompress=False, timeout=timeout) as session:
        for case in task["cases"]:
            body = body_of(case)

            async def stream():
                for piece in pieces(body):
                    yield piece

            try:
                async with session.request(
                    case["method"],
                    URL(task["base"] + case["target"], encoded=True),
                    headers=CIMultiDict(headers_of(case)),
                    data=stream() if case.get("chunked") else body,
                    allow_redirects=False,
                    expect100=bool(case.get("expect")),
                ) as answer:
                    content = await answer.read()
                    pairs = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in answer.raw_headers]
                    answers.append(told(answer.status, pairs, content))
            except Exception as error:
                answers.append({"error": f"{type(error).__name__}: {error}"})
    return answers


def main():
    task = json.load(sys.stdin)
    kind = sys.argv[1]
    if kind == "aiohttp":
        answers = asyncio.run(with_aiohttp(task))
    elif kind == "requests":
        answers = list(with_requests(task))
    else:
        answers = list(with_httpx(task, http2=kind == "httpx-h2"))
    json.dump(answers, sys.stdout)


main()
