// Node's clients in the matrix: `client.cjs KIND`, KIND is http, fetch or http2. See ../README.md.
const crypto = require("node:crypto");
const http = require("node:http");
const http2 = require("node:http2");
const https = require("node:https");
const { Readable } = require("node:stream");

const content = (case_) =>
  case_.body == null ? null : Buffer.from(Array.from({ length: case_.body }, (_, n) => n % 251));

function* pieces(body) {
  for (let at = 0; at < body.length; at += 8192) yield body.subarray(at, at + 8192);
}

function headersOf(case_) {
  const headers = { "accept-encoding": "identity", "user-agent": "matrix" };
  if (case_.body != null) headers["content-type"] = "application/octet-stream";
  for (const [name, value] of case_.headers) {
    const before = headers[name];
    headers[name] = before && name.startsWith("x-") ? [before, value].flat() : value;
  }
  return headers;
}

function told(status, headers, body) {
  const text = body.length < 10_000 ? body.toString("latin1") : "";
  const sha256 = crypto.createHash("sha256").update(body).digest("hex");
  return { status, headers, length: body.length, sha256, text };
}

function collect(pairs) {
  const headers = {};
  for (let n = 0; n < pairs.length; n += 2) {
    (headers[pairs[n].toLowerCase()] ??= []).push(pairs[n + 1]);
  }
  return headers;
}

function within(promise) {
  const late = new Promise((_, fail) => setTimeout(fail, 20_000, new Error("timeout")).unref());
  return Promise.race([promise, late]);
}

let agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

// What did not end must not hold up what follows.
function startAnew() {
  agent.destroy();
  agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  session?.destroy();
  session = undefined;
}

function withHttp(base, case_) {
  return new Promise((done, fail) => {
    const body = content(case_);
    const headers = headersOf(case_);
    if (body && !case_.chunked) headers["content-length"] = body.length;
    if (case_.expect) headers.expect = "100-continue";
    const { hostname, port } = new URL(base);
    const options = { hostname, port, path: case_.target, method: case_.method, headers, agent };
    const request = http.request(options, (answer) => {
      const got = [];
      answer.on("data", (piece) => got.push(piece));
      answer.on("error", fail);
      answer.on("end", () =>
        done(told(answer.statusCode, collect(answer.rawHeaders), Buffer.concat(got))));
    });
    // A server that has answered may have closed before all was sent.
    request.on("error", fail);
    const send = () => {
      if (!body) return request.end();
      if (!case_.chunked) return request.end(body);
      Readable.from(pieces(body)).pipe(request);
    };
    if (case_.expect) {
      request.flushHeaders();
      request.on("continue", send);
    } else {
      send();
    }
  });
}

async function withFetch(base, case_) {
  const body = content(case_);
  const headers = new Headers();
  for (const [name, value] of Object.entries(headersOf(case_))) {
    for (const one of [value].flat()) headers.append(name, one);
  }
  const options = { method: case_.method, headers, redirect: "manual" };
  if (body) {
    options.body = case_.chunked ? Readable.toWeb(Readable.from(pieces(body))) : body;
    options.duplex = "half";
  }
  const answer = await fetch(base + case_.target, options);
  const pairs = [...answer.headers].flat();
  // Fetch decodes what is compressed; the bytes are then not those that came.
  return told(answer.status, collect(pairs), Buffer.from(await answer.arrayBuffer()));
}

let session;
function withHttp2(base, case_) {
  return new Promise((done, fail) => {
    if (!session || session.closed || session.destroyed) {
      session = http2.connect(base, { rejectUnauthorized: false });
      session.on("error", () => {});
    }
    const body = content(case_);
    const head = { ":method": case_.method, ":path": case_.target, ...headersOf(case_) };
    if (body && !case_.chunked) head["content-length"] = body.length;
    if (case_.expect) head.expect = "100-continue";
    const stream = session.request(head, { endStream: !body });
    let headers;
    const got = [];
    stream.on("response", (answer, _, raw) => (headers = answer));
    stream.on("data", (piece) => got.push(piece));
    stream.on("error", (error) => (headers ? finish() : fail(error)));
    const finish = () => {
      const plain = {};
      for (const [name, value] of Object.entries(headers)) {
        if (!name.startsWith(":")) plain[name] = [value].flat();
      }
      done(told(headers[":status"], plain, Buffer.concat(got)));
    };
    stream.on("end", finish);
    if (body) case_.chunked ? Readable.from(pieces(body)).pipe(stream) : stream.end(body);
  });
}

async function main() {
  const text = [];
  for await (const piece of process.stdin) text.push(piece);
  const task = JSON.parse(Buffer.concat(text));
  const send = { http: withHttp, fetch: withFetch, http2: withHttp2 }[process.argv[2]];
  const answers = [];
  for (const case_ of task.cases) {
    try {
      answers.push(await within(send(task.base, case_)));
    } catch (error) {
      answers.push({ error: String(error.cause ?? error) });
      startAnew();
    }
  }
  process.stdout.write(JSON.stringify(answers), () => process.exit(0));
}

main();
