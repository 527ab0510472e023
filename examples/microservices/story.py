"""The story of README.md, told by doing it: each step waits until what it promises is so."""

import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
import uuid
from collections import Counter
from pathlib import Path

HERE = Path(__file__).resolve().parent
PATIENCE_S = 30


def main():
    with tempfile.TemporaryDirectory(prefix="sluicegate-microservices-") as folder:
        town = Town(Path(folder))
        try:
            tell(town)
            if "--stay" in sys.argv:
                print(f"\nIt runs on at http://{town.gateway}; its configuration is {town.file}. Ctrl-C ends it.")
                signal.pause()
        except KeyboardInterrupt:
            pass
        finally:
            town.end()


def tell(town):
    say("Start: Consul, two instances of each service, the gateway")
    town.start_consul()
    first = {name: [town.start_service(name) for _ in range(2)] for name in ("users", "orders")}
    town.start_gateway()

    say("1. Find: the instances register in Consul, and the gateway follows")
    for name in first:
        town.wait_for_endpoints(name, 2)

    say("2. Create, get and update, by way of the gateway")
    user = town.shown("POST", "/users", {"name": "Ada", "email": "ada@shop.example"}, wanted=201)
    town.shown("GET", f"/users/{user['id']}")
    order = town.shown("POST", "/orders", {"user": user["id"], "item": "tea", "quantity": 2}, wanted=201)
    town.shown("PUT", f"/orders/{order['id']}", {"status": "paid"})
    town.shown("POST", "/orders", {"user": 4711, "item": "tea", "quantity": 1}, wanted=422)

    load = Load(town, user["id"], order["id"])
    say("3. Balance: from here on eight clients create, read and update without a pause")
    load.goes_on(200)
    for name in first:
        served = town.served_by(name)
        expect(len(served) == 2, f"both instances of {name} serve: {dict(served)}")

    say("4. Lose an instance of the order service: kill -9")
    lost = first["orders"][0]
    lost.kill()
    town.wait_for_endpoints("orders", 1)
    load.goes_on(200)
    load.expect_no_failure()

    say("5. Scale up: two more of a new version, 1.1.0")
    for _ in range(2):
        town.start_service("orders", "1.1.0")
    town.wait_for_endpoints("orders", 3)
    load.goes_on(200)
    served = town.served_by("orders")
    expect(len(served) == 3, f"all three serve: {dict(served)}")

    say("6. Scale down: one of the first leaves on SIGTERM, as on a deployment")
    first["orders"][1].terminate()
    town.wait_for_endpoints("orders", 2)
    first["orders"][1].wait(PATIENCE_S)
    load.goes_on(200)
    load.expect_no_failure()

    say("7. Edit the configuration: a mistake first, which changes nothing")
    before = town.file.read_text()
    town.edit(before.replace('pool = "orders"', 'pool = "oders"', 1))
    wait_until("the gateway refuses it", lambda: town.metric("sluicegate_config_last_reload_success") == 0)
    check = subprocess.run([town.program, "check", town.file], env=town.environment, capture_output=True, text=True)
    print(indented(check.stderr or check.stdout))
    load.goes_on(100)
    town.edit(before.replace('path_prefix = "/orders"', 'path_prefix = "/orders"\nheaders_response = { set = { x-shop = "open" } }', 1))
    wait_until("the right edit is in use", lambda: town.ask("GET", f"/orders/{order['id']}")[2].get("x-shop") == "open")
    load.goes_on(200)

    say("8. Upgrade the order service: two of version 2.0.0 start, and the gateway leads the users over")
    for _ in range(2):
        town.start_service("orders", "2.0.0")
    for share in ("20 %", "50 %", "100 %"):
        wait_until("share of the users that have 2.0", lambda share=share: town.share(share), 90)
    wait_until("the rollout", lambda: town.rollout()["state"] == "promoted" and "promoted", 90)
    load.goes_on(200)
    served = load.versions_now()
    expect(set(served) == {"2.0.0"}, f"all users have it: {dict(served)}")
    expect(not load.went_back, f"nobody went back to the old version {load.went_back[:5] or ''}")
    load.expect_no_failure()

    say("9. Upgrade it again, to 2.1.0, which has a fault: the gateway takes it back")
    before = town.file.read_text()
    edited = before.replace('baseline = "^1"', 'baseline = "~2.0"').replace('candidate = "~2.0"', 'candidate = "~2.1"')
    town.edit(edited)
    wait_until("the rollout of 2.1", lambda: town.rollout()["state"] == "pending" and "pending")
    began = time.monotonic()
    for _ in range(2):
        town.start_service("orders", "2.1.0", "--fails-every", "3")
    wait_until("the rollout", lambda: town.rollout()["state"] == "rolled_back" and "rolled_back", 90)
    rollout = town.rollout()
    candidate = rollout["versions"]["candidate"]
    print(f"  {rollout['reason']}")
    print(f"  {time.monotonic() - began:.1f} s after its first instance began to start; {candidate['served']['failures']} requests of {candidate['users_hurt']} users failed")
    expect(load.failed > 0, "clients met the fault")
    others = [fault for fault in load.faults if not fault.endswith("by 2.1.0")]
    expect(not others, f"of no other version: {load.failed} failed {others[:5]}")
    # Those that were under way at the rollback are answered.
    load.goes_on(100)
    failed = load.failed
    load.goes_on(200)
    expect(load.failed == failed, "no request fails any more")
    served = load.versions_now()
    expect(set(served) == {"2.0.0"}, f"all users have 2.0: {dict(served)}")

    say("The end")
    load.stop()
    print(f"  {load.done} requests, {load.created} of them creations; {load.failed} failed, all of them by the fault of 2.1.0.")
    orders = town.ask("GET", "/orders")[1]
    expect(len(orders) > 0, "the orders are there")
    print("\nAll of it happened.")


class Town:
    """All processes of the story, and their addresses."""

    def __init__(self, folder):
        self.folder = folder
        self.file = folder / "proxy.toml"
        self.program = os.environ["SLUICEGATE"]
        self.processes = []
        shutil.copy(HERE / "proxy.toml", self.file)
        self.consul, self.gateway, self.admin = (f"127.0.0.1:{free_port()}" for _ in range(3))
        self.environment = {
            **os.environ,
            "CONSUL": f"http://{self.consul}",
            "GATEWAY": self.gateway,
            "GATEWAY_URL": f"http://{self.gateway}",
            "ADMIN": self.admin,
        }

    def start(self, name, *command):
        with open(self.folder / f"{name}.log", "ab") as log:
            process = subprocess.Popen(
                [str(part) for part in command], env=self.environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self.processes.append((name, process))
        return process

    def start_consul(self):
        ports = [f"-{name}-port={free_port()}" for name in ("server", "serf-lan", "serf-wan")]
        http_port = self.consul.split(":")[1]
        self.start(
            "consul", os.environ["CONSUL_COMMAND"], "agent", "-dev", "-bind=127.0.0.1", "-client=127.0.0.1", "-node=shop",
            "-disable-host-node-id", "-grpc-port=-1", f"-http-port={http_port}", "-dns-port=-1", *ports,
        )  # fmt: skip
        # The first time, it is downloaded.
        url = f"http://{self.consul}/v1/status/leader"
        wait_until("Consul has a leader", lambda: len(fetch(url) or "") > 2, 180)

    def start_service(self, name, version="1.0.0", *more):
        port = free_port()
        process = self.start(
            f"{name}-{port}", sys.executable, HERE / f"{name}.py", "--port", port, "--store", self.folder / f"{name}.db",
            "--consul", f"http://{self.consul}", "--version", version, *more,
        )  # fmt: skip
        wait_until(f"{name}-{port} (version {version}) answers", lambda: fetch(f"http://127.0.0.1:{port}/healthz"))
        return process

    def start_gateway(self):
        self.start("sluicegate", self.program, "--config", self.file)
        wait_until("the gateway is ready", lambda: fetch(f"http://{self.admin}/ready"))

    def ask(self, method, path, body=None):
        """Returns status, body and header fields of one request of its own connection."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"idempotency-key": str(uuid.uuid4())} if method == "POST" else {}
        request = urllib.request.Request(f"http://{self.gateway}{path}", data=data, method=method, headers=headers)
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, json.load(answer), answer.headers
        except urllib.error.HTTPError as error:
            return error.code, json.load(error), error.headers

    def shown(self, method, path, body=None, wanted=200):
        status, answer, headers = self.ask(method, path, body)
        sent = "" if body is None else f" {json.dumps(body)}"
        print(f"  {method} {path}{sent}\n      {status} {json.dumps(answer)}, by {headers['x-served-by']}")
        if status != wanted:
            sys.exit(f"{wanted} was expected")
        return answer

    def served_by(self, name):
        return Counter(self.ask("GET", f"/{name}")[2]["x-served-by"] for _ in range(40))

    def wait_for_endpoints(self, pool, count):
        """Waits until so many endpoints of a pool take requests."""

        def known():
            text = fetch(f"http://{self.admin}/pools/{pool}")
            endpoints = json.loads(text)["endpoints"] if text else []
            serving = [it["address"] for it in endpoints if it["eligible"]]
            return len(serving) == count and ", ".join(sorted(serving))

        wait_until(f"the pool {pool} has {count} that serve", known)

    def rollout(self):
        return json.loads(fetch(f"http://{self.admin}/rollouts/orders"))

    def share(self, wanted):
        """Returns the share of the users that have the new version, once it is as large as wanted."""
        share = self.rollout()["share"]
        return share * 100 >= float(wanted.split()[0]) - 0.001 and f"{share:.0%}"

    def metric(self, name):
        lines = (fetch(f"http://{self.admin}/metrics") or "").splitlines()
        values = [float(line.split()[1]) for line in lines if line.split()[:1] == [name]]
        return values[0] if values else None

    def edit(self, text):
        """Replaces the file as editors do: a new one, then a rename."""
        new = self.folder / "proxy.toml.new"
        new.write_text(text)
        new.rename(self.file)

    def end(self):
        """Ends what was started here, the last first."""
        for name, process in reversed(self.processes):
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
            if sys.exc_info()[0] not in (None, KeyboardInterrupt):
                log = (self.folder / f"{name}.log").read_text(errors="replace")
                print(f"--- {name}\n{log[-3000:]}", file=sys.stderr)


class Load:
    """Clients that use both services until they are stopped."""

    def __init__(self, town, user, order):
        self.town, self.user, self.order = town, user, order
        self.lock = threading.Lock()
        self.done = self.created = self.failed = 0
        self.faults = []
        # The version that each user had last, of the order service, and who went back to an older one.
        self.versions, self.went_back = {}, []
        self.running = True
        self.clients = [threading.Thread(target=self.run, args=(at,)) for at in range(8)]
        for client in self.clients:
            client.daemon = True
            client.start()

    def run(self, at):
        turn = at
        connection = http.client.HTTPConnection(self.town.gateway, timeout=20)
        while self.running:
            turn += 1
            method, path, body = [
                ("GET", f"/users/{self.user}", None),
                ("POST", "/orders", {"user": self.user, "item": "tea", "quantity": turn % 9}),
                ("GET", f"/orders/{self.order}", None),
                ("PUT", f"/orders/{self.order}", {"quantity": turn % 9}),
            ][turn % 4]
            user = f"{at}-{turn % 25}"
            headers = {"content-type": "application/json", "x-user": user}
            if method == "POST":
                headers["idempotency-key"] = str(uuid.uuid4())
            version = None
            try:
                connection.request(method, path, body and json.dumps(body), headers)
                answer = connection.getresponse()
                text = answer.read()
                version = answer.headers["x-version"]
                fault = None if answer.status in (200, 201) else f"{answer.status} {text}"
            except (OSError, http.client.HTTPException) as error:
                fault = repr(error)
                connection.close()
            with self.lock:
                self.done += 1
                self.created += method == "POST" and fault is None
                if path.startswith("/orders") and version:
                    self.served(user, version)
                if fault:
                    self.failed += 1
                    self.faults.append(f"{method} {path}: {fault}, by {version}")
            time.sleep(0.01)

    def served(self, user, version):
        if self.versions.get(user, "").startswith("2.") and version.startswith("1."):
            self.went_back.append(f"{user} from {self.versions[user]} to {version}")
        self.versions[user] = version

    def versions_now(self):
        """Returns the versions that serve from now on, with the users of each."""
        with self.lock:
            self.versions.clear()
        self.goes_on(200)
        with self.lock:
            return Counter(self.versions.values())

    def goes_on(self, count):
        wanted = self.done + count
        wait_until(f"{count} more requests are answered", lambda: self.done >= wanted)

    def expect_no_failure(self):
        expect(self.failed == 0, f"no request failed {self.faults[:5] or ''}")

    def stop(self):
        self.running = False
        for client in self.clients:
            client.join()


def say(what):
    print(f"\n{what}", flush=True)


def expect(is_so, what):
    print(f"  {what}", flush=True)
    if not is_so:
        sys.exit("it is not so")


def wait_until(what, ask, patience=PATIENCE_S):
    """Asks until the answer is something, and shows it."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        answer = ask()
        if answer:
            more = f": {answer}" if isinstance(answer, str) and len(answer) < 100 and "{" not in answer else ""
            print(f"  {what}{more}", flush=True)
            return
        time.sleep(0.05)
    sys.exit(f"not within {patience} s: {what}")


def fetch(url):
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:
            return answer.read().decode()
    except OSError:
        return None


def free_port():
    """Returns a port below those that the system gives to connections."""
    while True:
        port = random.randint(15000, 32000)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


def indented(text):
    return "\n".join(f"      {line}" for line in text.strip().splitlines())


if __name__ == "__main__":
    main()
