"""curl as a client of the matrix: `curl.py KIND`, KIND is h1, h2 or h2c. See ../README.md."""

import hashlib
import json
import os
import subprocess
import sys
import tempfile

OPTIONS = {
    "h1": ["--http1.1"],
    "h2": ["--http2", "--insecure"],
    "h2c": ["--http2-prior-knowledge"],
}


def run(kind, base, case, folder):
    head, body, sent = (os.path.join(folder, name) for name in ("head", "body", "sent"))
    command = ["curl", "--silent", "--show-error", "--max-time", "20", "--path-as-is"]
    command += [*OPTIONS[kind], "--dump-header", head, "--output", body]
    if case["method"] == "HEAD":
        command += ["--head"]
    else:
        command += ["--request", case["method"]]
    for name, value in case["headers"]:
        command += ["--header", f"{name}: {value}"]
    if case.get("body") is not None:
        with open(sent, "wb") as file:
            file.write(bytes(n % 251 for n in range(case["body"])))
        command += ["--header", "content-type: application/octet-stream"]
        command += ["--data-binary", f"@{sent}"]
        if case.get("chunked"):
            command += ["--header", "transfer-encoding: chunked"]
        if not case.get("expect"):
            command += ["--header", "expect:"]
    ran = subprocess.run([*command, base + case["target"]], capture_output=True, text=True)
    heads = []
    if os.path.exists(head):
        with open(head, newline="", encoding="latin-1") as file:
            heads = [part for part in file.read().split("\r\n\r\n") if part]
    # An answer that came whole counts, even if curl could not send all of its request.
    if ran.returncode not in (0, 55, 56) or not heads:
        return {"error": ran.stderr.strip()}
    lines = heads[-1].split("\r\n")
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers.setdefault(name.lower(), []).append(value.strip())
    content = b""
    # For HEAD, curl writes the head there.
    if os.path.exists(body) and case["method"] != "HEAD":
        with open(body, "rb") as file:
            content = file.read()
    return {
        "status": int(lines[0].split()[1]),
        "headers": headers,
        "length": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "text": content.decode("latin-1") if len(content) < 10_000 else "",
    }


def main():
    task = json.load(sys.stdin)
    told = []
    for case in task["cases"]:
        with tempfile.TemporaryDirectory() as folder:
            told.append(run(sys.argv[1], task["base"], case, folder))
    json.dump(told, sys.stdout)


main()
