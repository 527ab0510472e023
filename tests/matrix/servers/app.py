"""One small application in the frameworks of Python: `app.py KIND PORT`.

KIND is starlette (under uvicorn), flask (under gunicorn), aiohttp or tornado. What the
application answers is written in ../README.md; every server of the matrix has the same.
"""

import gzip
import hashlib
import json
import sys

LARGE = bytes(n % 251 for n in range(1 << 20))
GZIPPED = gzip.compress(b"gzip\n" * 100, mtime=0)
PIECES = [b"piece %d\n" % n for n in range(5)]
TEXT = ("content-type", "text/plain")


def echo(method, target, pairs, body):
    headers = {}
    for name, value in pairs:
        headers.setdefault(name.lower(), []).append(value)
    told = {
        "method": method,
        "target": target,
        "headers": headers,
        "length": len(body),
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    return 200, [("content-type", "application/json")], json.dumps(told).encode()


def respond(method, target, pairs, body):
    """Status, headers and body; a list as the body is sent piece by piece."""
    path = target.split("?")[0]
    sent = {name.lower(): value for name, value in pairs}
    if path == "/small.txt":
        return 200, [TEXT], b"small\n"
    if path == "/large.bin":
        return 200, [("content-type", "application/octet-stream")], LARGE
    if path == "/echo":
        return echo(method, target, pairs, body)
    if path == "/cookies":
        cookies = [("set-cookie", "a=1; Path=/"), ("set-cookie", "b=2; Path=/")]
        return 200, [TEXT, *cookies], b"cookies\n"
    if path == "/stream":
        return 200, [TEXT], PIECES
    if path == "/no-content":
        return 204, [], b""
    if path == "/early":
        return 413, [TEXT], b"too large\n"
    if path == "/redirect":
        return 302, [TEXT, ("location", "/small.txt")], b"elsewhere\n"
    if path == "/etag":
        tag = ("etag", '"v1"')
        if sent.get("if-none-match") == '"v1"':
            return 304, [tag], b""
        return 200, [TEXT, tag], b"tagged\n"
    if path == "/gzip":
        return 200, [TEXT, ("content-encoding", "gzip"), ("vary", "accept-encoding")], GZIPPED
    return 404, [TEXT], b"missing\n"


def starlette(port):
    import uvicorn
    from starlette.applications import Starlette
    from starlette.responses import Response, StreamingResponse
    from starlette.routing import Route

    async def serve(request):
        body = b"" if request.url.path == "/early" else await request.body()
        query = request.scope["query_string"]
        target = request.scope["raw_path"] + (b"?" + query if query else b"")
        pairs = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in request.headers.raw]
        status, headers, answer = respond(request.method, target.decode("latin-1"), pairs, body)
        if isinstance(answer, list):

            async def pieces():
                for piece in answer:
                    yield piece

            response = StreamingResponse(pieces(), status)
        else:
            response = Response(answer, status)
        response.raw_headers = [h for h in response.raw_headers if h[0] != b"content-type"]
        response.raw_headers += [(n.encode(), v.encode()) for n, v in headers]
        return response

    methods = ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]
    app = Starlette(routes=[Route("/{path:path}", serve, methods=methods)])
    uvicorn.run(app, host="127.0.0.1", port=port, log_level="error")


def flask(port):
    from flask import Flask, Response, request
    from gunicorn.app.base import BaseApplication

    app = Flask("app")
    methods = ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"]

    @app.route("/", defaults={"path": ""}, methods=methods)
    @app.route("/<path:path>", methods=methods)
    def serve(path):
        body = b"" if request.path == "/early" else request.get_data()
        target = request.environ["RAW_URI"]
        pairs = list(request.headers.items())
        status, headers, answer = respond(request.method, target, pairs, body)
        return Response(answer if isinstance(answer, list) else [answer], status, headers)

    class Server(BaseApplication):
        def load_config(self):
            self.cfg.set("bind", f"127.0.0.1:{port}")
            self.cfg.set("worker_class", "gthread")
            self.cfg.set("threads", 8)
            self.cfg.set("loglevel", "critical")

        def load(self):
            return app

    Server().run()


def aiohttp(port):
    from aiohttp import web

    async def serve(request):
        body = b"" if request.path == "/early" else await request.read()
        pairs = [(n.decode("latin-1"), v.decode("latin-1")) for n, v in request.raw_headers]
        status, headers, answer = respond(request.method, request.raw_path, pairs, body)
        if isinstance(answer, list):
            response = web.StreamResponse(status=status, headers=headers)
            response.enable_chunked_encoding()
            await response.prepare(request)
            for piece in answer:
                await response.write(piece)
            await response.write_eof()
            return response
        from multidict import CIMultiDict

        return web.Response(body=answer, status=status, headers=CIMultiDict(headers))

    app = web.Application(client_max_size=1 << 26)
    app.router.add_route("*", "/{path:.*}", serve)
    web.run_app(app, host="127.0.0.1", port=port, print=None)


def tornado(port):
    import asyncio

    from tornado import web

    class Handler(web.RequestHandler):
        async def serve(self, path):
            request = self.request
            pairs = list(request.headers.get_all())
            status, headers, answer = respond(request.method, request.uri, pairs, request.body)
            self.set_status(status)
            for name, value in headers:
                if name == "set-cookie":
                    self.add_header(name, value)
                else:
                    self.set_header(name, value)
            if isinstance(answer, list):
                for piece in answer:
                    self.write(piece)
                    await self.flush()
            elif status not in (204, 304):
                self.write(answer)

        get = head = post = put = delete = patch = options = serve

    async def run():
        app = web.Application([(r"/(.*)", Handler)])
        app.listen(port, "127.0.0.1", max_buffer_size=1 << 26)
        await asyncio.Event().wait()

    asyncio.run(run())


if __name__ == "__main__":
    {"starlette": starlette, "flask": flask, "aiohttp": aiohttp, "tornado": tornado}[
        sys.argv[1]
    ](int(sys.argv[2]))
