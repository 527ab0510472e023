"""The part that both services share: HTTP, a store, and the registration in Consul.

Instances of a service share one store (a file of SQLite), as instances share a database. A
request to create something may carry an Idempotency-Key: sent twice, it creates one thing. That
is what lets the gateway send it again when an instance dies.
"""

import argparse
import itertools
import json
import signal
import sqlite3
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Refused(Exception):
    """A request that the service does not accept."""

    def __init__(self, status, why):
        super().__init__(why)
        self.status = status


class Store:
    """Things with a number, in one file for all instances."""

    def __init__(self, path):
        self.path = path
        with self.open() as store:
            store.execute("PRAGMA journal_mode = WAL")
            store.execute("CREATE TABLE IF NOT EXISTS things (id INTEGER PRIMARY KEY, body TEXT, key TEXT UNIQUE)")

    def open(self):
        return sqlite3.connect(self.path, timeout=5)

    def create(self, body, key):
        with self.open() as store:
            statement = "INSERT INTO things (body, key) VALUES (?, ?) ON CONFLICT (key) DO NOTHING"
            made = store.execute(statement, (json.dumps(body), key))
            if made.rowcount == 1:
                return made.lastrowid
            return store.execute("SELECT id FROM things WHERE key = ?", (key,)).fetchone()[0]

    def get(self, number):
        with self.open() as store:
            row = store.execute("SELECT body FROM things WHERE id = ?", (number,)).fetchone()
        if row is None:
            raise Refused(404, "no such number")
        return {"id": number, **json.loads(row[0])}

    def update(self, number, change):
        body = {**self.get(number), **change}
        body.pop("id")
        with self.open() as store:
            store.execute("UPDATE things SET body = ? WHERE id = ?", (json.dumps(body), number))
        return {"id": number, **body}

    def all(self):
        with self.open() as store:
            rows = store.execute("SELECT id, body FROM things ORDER BY id DESC LIMIT 100").fetchall()
        return [{"id": number, **json.loads(body)} for number, body in rows]


def serve(name, needed, more=(), check=lambda body: None):
    """Runs a service: POST, GET and PUT below /NAME, with these fields, and /healthz."""
    fields = [*needed, *more]
    options = argparse.ArgumentParser(description=f"the service {name}")
    options.add_argument("--port", type=int, required=True)
    options.add_argument("--store", required=True, help="file that the instances share")
    options.add_argument("--consul", required=True, help="URL of the Consul agent")
    options.add_argument("--version", default="1.0.0")
    options.add_argument("--fails-every", type=int, default=0, help="answer one of so many requests with 500")
    options = options.parse_args()
    store = Store(options.store)
    turns = itertools.count(1)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.answer(lambda parts: store.get(number(parts)) if len(parts) == 2 else store.all())

        def do_POST(self):
            self.answer(lambda parts: self.create())

        def do_PUT(self):
            self.answer(lambda parts: store.update(number(parts), self.body()))

        def create(self):
            body = self.body()
            missing = [field for field in needed if field not in body]
            if missing:
                raise Refused(422, f"missing: {', '.join(missing)}")
            check(body)
            made = store.create(body, self.headers.get("idempotency-key"))
            return {"id": made, **body}

        def body(self):
            text = self.rfile.read(int(self.headers.get("content-length", 0)))
            try:
                body = json.loads(text)
            except ValueError:
                raise Refused(400, "the body is not JSON") from None
            if not isinstance(body, dict) or any(key not in fields for key in body):
                raise Refused(422, f"known fields: {', '.join(fields)}")
            return body

        def answer(self, work):
            parts = self.path.split("?")[0].strip("/").split("/")
            status = 201 if self.command == "POST" else 200
            try:
                if parts == ["healthz"]:
                    body = {"status": "fine"}
                elif options.fails_every and next(turns) % options.fails_every == 0:
                    self.rfile.read(int(self.headers.get("content-length", 0)))
                    raise Refused(500, f"a fault of version {options.version}")
                elif parts[0] == name:
                    body = work(parts)
                else:
                    raise Refused(404, "no such path")
            except Refused as refused:
                status, body = refused.status, {"error": str(refused)}
            text = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.send_header("x-served-by", f"{name}-{options.port}")
            self.send_header("x-version", options.version)
            if status == 201:
                self.send_header("location", f"/{name}/{body['id']}")
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    server = Server(("127.0.0.1", options.port), Handler)
    registration = Registration(name, options)
    # It listens before anybody is told of it, and nobody is told of it any more before it stops.
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=stop, args=(server, registration)).start())
    registration.enter()
    server.serve_forever()


class Server(ThreadingHTTPServer):
    request_queue_size = 128


def number(parts):
    try:
        return int(parts[1])
    except (ValueError, IndexError):
        raise Refused(404, "no such number") from None


def stop(server, registration):
    try:
        registration.leave()
    except OSError as error:
        print(f"not deregistered: {error}")
    # Requests that the gateway sent before it heard of it are answered.
    threading.Event().wait(2)
    server.shutdown()


class Registration:
    """The entry of an instance in Consul."""

    def __init__(self, name, options):
        self.consul = options.consul
        self.entry = {
            "ID": f"{name}-{options.port}",
            "Name": name,
            "Address": "127.0.0.1",
            "Port": options.port,
            "Meta": {"version": options.version},
            "Check": {
                "HTTP": f"http://127.0.0.1:{options.port}/healthz",
                "Interval": "1s",
                "Timeout": "1s",
                "Status": "passing",
                "DeregisterCriticalServiceAfter": "1m",
            },
        }

    def enter(self):
        self.put("/v1/agent/service/register", self.entry)

    def leave(self):
        self.put(f"/v1/agent/service/deregister/{self.entry['ID']}", None)

    def put(self, path, body):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.consul + path, data=data, method="PUT")
        urllib.request.urlopen(request, timeout=5).close()
