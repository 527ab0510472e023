"""Runs the clients before the servers, directly and through the proxy, and compares."""

import argparse
import concurrent.futures
import fnmatch
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import tomllib

HERE = os.path.dirname(os.path.abspath(__file__))
TOOLS = os.environ["MATRIX_TOOLS"]
PYTHON = os.path.join(TOOLS, "venv", "bin", "python")
BUILT = os.path.join(TOOLS, "built")

# What a server is started with, and whether it has the application or only files.
SERVERS = {
    "nginx": (["nginx", "-c", "{conf:nginx.conf}", "-e", "/dev/null"], "files"),
    "apache": (["apache2", "-X", "-f", "{conf:apache.conf}"], "files"),
    "lighttpd": (["lighttpd", "-D", "-f", "{conf:lighttpd.conf}"], "files"),
    "caddy": (["caddy", "run", "--adapter", "caddyfile", "--config", "{conf:Caddyfile}"], "files"),
    "python": ([PYTHON, "-m", "http.server", "{port}", "-b", "127.0.0.1", "-d", "{files}", "-p", "HTTP/1.1"], "files"),
    "python-1.0": ([PYTHON, "-m", "http.server", "{port}", "-b", "127.0.0.1", "-d", "{files}"], "files"),
    "starlette": ([PYTHON, "{servers}/app.py", "starlette", "{port}"], "app"),
    "flask": ([PYTHON, "{servers}/app.py", "flask", "{port}"], "app"),
    "aiohttp": ([PYTHON, "{servers}/app.py", "aiohttp", "{port}"], "app"),
    "tornado": ([PYTHON, "{servers}/app.py", "tornado", "{port}"], "app"),
    "node": (["node", "{servers}/app.cjs", "node", "{port}"], "app"),
    "express": (["node", "{servers}/app.cjs", "express", "{port}"], "app"),
    "fastify": (["node", "{servers}/app.cjs", "fastify", "{port}"], "app"),
    "go": ([f"{BUILT}/app-go", "{port}"], "app"),
    "java": (["java", "-Xshare:auto", "-cp", BUILT, "App", "{port}"], "app"),
    "php": (["php", "-q", "-S", "127.0.0.1:{port}", "{servers}/app.php"], "app"),
    "webrick": (["ruby", "{servers}/app.rb", "{port}"], "app"),
}

# A client directly, and through the proxy: its command, and by which listener.
JAVA = ["java", "-Xshare:auto", "-cp", BUILT, "Client"]
CURL = [PYTHON, "{clients}/curl.py"]
PY = [PYTHON, "{clients}/client.py"]
NODE = ["node", "{clients}/client.cjs"]
CLIENTS = {
    "curl": ([*CURL, "h1"], [*CURL, "h1"], "http"),
    "curl-h2": ([*CURL, "h1"], [*CURL, "h2"], "https"),
    "curl-h2c": ([*CURL, "h1"], [*CURL, "h2c"], "http"),
    "requests": ([*PY, "requests"], [*PY, "requests"], "http"),
    "httpx": ([*PY, "httpx"], [*PY, "httpx"], "http"),
    "httpx-h2": ([*PY, "httpx"], [*PY, "httpx-h2"], "https"),
    "aiohttp": ([*PY, "aiohttp"], [*PY, "aiohttp"], "http"),
    "node": ([*NODE, "http"], [*NODE, "http"], "http"),
    "node-fetch": ([*NODE, "fetch"], [*NODE, "fetch"], "http"),
    "node-h2": ([*NODE, "http"], [*NODE, "http2"], "https"),
    "go": ([f"{BUILT}/client-go", "h1"], [f"{BUILT}/client-go", "h1"], "http"),
    "go-h2": ([f"{BUILT}/client-go", "h1"], [f"{BUILT}/client-go", "h2"], "https"),
    "java-h1": ([*JAVA, "h1"], [*JAVA, "h1"], "http"),
    # With its default, which offers an upgrade to h2c.
    "java": ([*JAVA, "h2"], [*JAVA, "h2"], "http"),
    "java-h2": ([*JAVA, "h1"], [*JAVA, "h2"], "https"),
}
REDUCED_CLIENTS = ["curl", "curl-h2", "httpx-h2", "node", "go", "java"]
REDUCED_SERVERS = ["nginx", "python-1.0", "starlette", "express", "go", "php"]

# Belongs to each connection or message of its own, or says that the proxy was there.
NOT_COMPARED = {
    "connection", "keep-alive", "transfer-encoding", "date", "via", "x-request-id", "alt-svc",
    "proxy-connection", "upgrade", "http2-settings", "trailer", "te",
    "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded",
}


def free_ports(count):
    # Below the range from which the kernel takes the ports of outgoing connections.
    port, found = 20000 + os.getpid() % 5000, []
    while len(found) < count:
        port += 1
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        found.append(port)
    return found


class Server:
    def __init__(self, name, port, folder):
        self.name, self.port = name, port
        command, self.kind = SERVERS[name]
        fill = {"port": port, "files": f"{folder}/files", "servers": f"{HERE}/servers"}
        self.command = [self.fill(part, fill, folder) for part in command]
        self.process = None

    def fill(self, part, fill, folder):
        if part.startswith("{conf:"):
            name = part[6:-1]
            with open(f"{HERE}/servers/{name}", encoding="utf-8") as file:
                text = file.read().replace("PORT", str(self.port)).replace("FOLDER", folder)
            path = f"{folder}/{self.name}-{name}"
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            return path
        return part.format(**fill)

    def start(self, log):
        environment = {**os.environ, "NODE_PATH": f"{TOOLS}/node/node_modules"}
        self.process = subprocess.Popen(self.command, stdout=log, stderr=log, env=environment)


def wait_for(port, name, process):
    for _ in range(400):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            sys.exit(f"{name} has ended: {process.args}")
        time.sleep(0.05)
    sys.exit(f"{name} does not listen on port {port}")


def start_proxy(folder, servers, binary, log):
    ports = free_ports(60)[-2 * len(servers):]
    certificate = f"{folder}/certificate"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-keyout", f"{certificate}.key", "-out", f"{certificate}.pem", "-days", "30",
         "-subj", "/CN=matrix", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )
    lines, places = ["[log]", 'level = "warn"'], {}
    for number, server in enumerate(servers):
        plain, secure = ports[2 * number], ports[2 * number + 1]
        places[server.name] = {"http": plain, "https": secure}
        tls = f'tls = {{ certificates = [{{ chain = "{certificate}.pem", key = "{certificate}.key" }}] }}'
        lines += [
            f"[listeners.l{number}]", f'address = "127.0.0.1:{plain}"',
            f"[listeners.s{number}]", f'address = "127.0.0.1:{secure}"', tls,
            f"[routes.r{number}]", f'listeners = ["l{number}", "s{number}"]', f'pool = "p{number}"',
            f"[pools.p{number}]", f'endpoints = ["127.0.0.1:{server.port}"]',
        ]
    with open(f"{folder}/proxy.toml", "w", encoding="utf-8") as file:
        file.write("\n".join(lines))
    proxy = subprocess.Popen([binary, "--config", f"{folder}/proxy.toml"], stdout=log, stderr=log)
    for place in places.values():
        for port in place.values():
            wait_for(port, "the proxy", proxy)
    return proxy, places


def run(command, base, cases):
    command = [part.replace("{clients}", f"{HERE}/clients") for part in command]
    if "Client" in command:
        lines = [base]
        for case in cases:
            headers = case["headers"]
            flags = ["true" if case.get(key) else "false" for key in ("chunked", "expect")]
            body = case.get("body", -1)
            lines.append(f"{case['method']} {case['target']} {body} {' '.join(flags)} {len(headers)}")
            lines += [f"{name}: {value}" for name, value in headers]
        text = "\n".join(lines) + "\n"
    else:
        text = json.dumps({"base": base, "cases": cases})
    ran = subprocess.run(command, input=text, capture_output=True, text=True, timeout=400)
    try:
        return json.loads(ran.stdout)
    except ValueError:
        sys.exit(f"{command} failed: {ran.stdout[:500]} {ran.stderr[:2000]}")


def seen(answer, port):
    """What is compared, by field."""
    if "error" in answer:
        return {"error": "an error"}
    fields = {"status": answer["status"]}
    is_echo = "application/json" in answer["headers"].get("content-type", [""])[0]
    for name, values in answer["headers"].items():
        if name in NOT_COMPARED or (is_echo and name == "content-length"):
            continue
        fields[f"header:{name}"] = [value.replace(f":{port}", ":PORT") for value in values]
    if not is_echo:
        fields["body"] = answer["sha256"]
        return fields
    told = json.loads(answer["text"])
    for key in ("method", "target", "length", "sha256"):
        fields[f"echo:{key}"] = told[key]
    for name, values in told["headers"].items():
        if name in NOT_COMPARED:
            continue
        fields[f"echo:header:{name}"] = [str(it).replace(f":{port}", ":PORT") for it in values]
    return fields


def compare(direct, proxied, server, places, scheme):
    """The fields that differ, with both values."""
    one = seen(direct, server.port)
    two = seen(proxied, places[server.name][scheme])
    fields = sorted(one.keys() | two.keys())
    found = {field: (one.get(field), two.get(field)) for field in fields if one.get(field) != two.get(field)}
    if "error" in found:
        said = direct.get("error") or f"status {direct.get('status')}"
        then = proxied.get("error") or f"status {proxied.get('status')}"
        return {"error" if "error" in proxied else "error:direct": (said, then)}
    return found


def is_listed(listed, client, server, case, field):
    for number, entry in enumerate(listed):
        asked = {"client": client, "server": server, "case": case, "field": field}
        if all(
            any(fnmatch.fnmatchcase(value, pattern) for pattern in as_list(entry.get(key, "*")))
            for key, value in asked.items()
        ):
            return number
    return None


def as_list(value):
    return value if isinstance(value, list) else [value]


def pair(client, server, cases, places):
    directly, through, scheme = CLIENTS[client]
    wanted = cases["files"] + (cases["app"] if server.kind == "app" else [])
    wanted = [{"headers": [], **case} for case in wanted]
    direct = run(directly, f"http://127.0.0.1:{server.port}", wanted)
    proxied = run(through, f"{scheme}://127.0.0.1:{places[server.name][scheme]}", wanted)
    differences = [
        (client, server.name, case["name"], field, values)
        for case, one, two in zip(wanted, direct, proxied, strict=True)
        for field, values in compare(one, two, server, places, scheme).items()
    ]
    return len(wanted), differences


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--full", action="store_true")
    arguments.add_argument("--client", action="append")
    arguments.add_argument("--server", action="append")
    arguments.add_argument("--verbose", action="store_true")
    arguments.add_argument("--binary", default=os.environ.get("MATRIX_PROXY"))
    asked = arguments.parse_args()
    full = asked.full or asked.client or asked.server
    clients = asked.client or (list(CLIENTS) if full else REDUCED_CLIENTS)
    names = asked.server or (list(SERVERS) if full else REDUCED_SERVERS)
    with open(f"{HERE}/cases.json", encoding="utf-8") as file:
        cases = json.load(file)
    with open(f"{HERE}/differences.toml", "rb") as file:
        listed = tomllib.load(file).get("difference", [])
    folder = tempfile.mkdtemp(prefix="matrix-")
    started, used, unlisted, compared = [], set(), [], 0
    try:
        os.makedirs(f"{folder}/files")
        os.makedirs(f"{folder}/nginx")
        with open(f"{folder}/files/small.txt", "wb") as file:
            file.write(b"small\n")
        with open(f"{folder}/files/large.bin", "wb") as file:
            file.write(bytes(n % 251 for n in range(1 << 20)))
        os.chmod(folder, 0o755)
        with open(f"{folder}/log", "ab") as log:
            servers = [Server(*it, folder) for it in zip(names, free_ports(len(names)))]
            for server in servers:
                server.start(log)
                started.append(server.process)
            for server in servers:
                wait_for(server.port, server.name, server.process)
            proxy, places = start_proxy(folder, servers, asked.binary, log)
            started.append(proxy)
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            tasks = [
                pool.submit(pair, client, server, cases, places)
                for server in servers
                for client in clients
            ]
            for task in tasks:
                count, differences = task.result()
                compared += count
                for client, server, case, field, values in differences:
                    number = is_listed(listed, client, server, case, field)
                    if number is not None:
                        used.add(number)
                    if number is None or asked.verbose:
                        mark = "differs" if number is None else "listed "
                        print(f"{mark} {client} - {server} - {case} - {field}: {values[0]} | {values[1]}")
                    if number is None:
                        unlisted.append(field)
        if proxy.poll() is not None:
            sys.exit("the proxy has ended")
    finally:
        for process in reversed(started):
            process.terminate()
        for process in started:
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
        shutil.rmtree(folder, ignore_errors=True)
    if asked.full:
        for number, entry in enumerate(listed):
            if number not in used and not entry.get("sometimes"):
                print(f"differences.toml lists what does not differ any more: {entry}")
                unlisted.append("stale")
    pairs = len(clients) * len(names)
    print(f"{len(clients)} clients, {len(names)} servers, {pairs} pairs, {compared} requests each way: "
          f"{len(unlisted)} differences that are not listed")
    sys.exit(1 if unlisted else 0)


main()
