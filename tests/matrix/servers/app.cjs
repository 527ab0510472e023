// The application in Node: `app.cjs KIND PORT`; KIND is node, express or fastify.
const crypto = require("node:crypto");
const http = require("node:http");
const zlib = require("node:zlib");

const LARGE = Buffer.from(Array.from({ length: 1 << 20 }, (_, n) => n % 251));
const GZIPPED = zlib.gzipSync("gzip\n".repeat(100));
const PIECES = [0, 1, 2, 3, 4].map((n) => `piece ${n}\n`);
const TEXT = { "content-type": "text/plain" };

function echo(request, target, body) {
  const headers = {};
  for (let n = 0; n < request.rawHeaders.length; n += 2) {
    const name = request.rawHeaders[n].toLowerCase();
    (headers[name] ??= []).push(request.rawHeaders[n + 1]);
  }
  const sha256 = crypto.createHash("sha256").update(body).digest("hex");
  const told = { method: request.method, target, headers, length: body.length, sha256 };
  return [200, { "content-type": "application/json" }, JSON.stringify(told)];
}

function respond(request, target, body) {
  switch (target.split("?")[0]) {
    case "/small.txt":
      return [200, TEXT, "small\n"];
    case "/large.bin":
      return [200, { "content-type": "application/octet-stream" }, LARGE];
    case "/echo":
      return echo(request, target, body);
    case "/cookies":
      return [200, { ...TEXT, "set-cookie": ["a=1; Path=/", "b=2; Path=/"] }, "cookies\n"];
    case "/stream":
      return [200, TEXT, PIECES];
    case "/no-content":
      return [204, {}, ""];
    case "/early":
      return [413, TEXT, "too large\n"];
    case "/redirect":
      return [302, { ...TEXT, location: "/small.txt" }, "elsewhere\n"];
    case "/etag":
      if (request.headers["if-none-match"] === '"v1"') return [304, { etag: '"v1"' }, ""];
      return [200, { ...TEXT, etag: '"v1"' }, "tagged\n"];
    case "/gzip":
      return [200, { ...TEXT, "content-encoding": "gzip", vary: "accept-encoding" }, GZIPPED];
    default:
      return [404, TEXT, "missing\n"];
  }
}

function send(response, [status, headers, body]) {
  response.writeHead(status, headers);
  if (Array.isArray(body)) {
    body.forEach((piece) => response.write(piece));
    response.end();
  } else {
    response.end(body);
  }
}

async function read(request) {
  const pieces = [];
  if (request.url.split("?")[0] !== "/early") {
    for await (const piece of request) pieces.push(piece);
  }
  return Buffer.concat(pieces);
}

const KINDS = {
  node(port) {
    const serve = async (request, response) =>
      send(response, respond(request, request.url, await read(request)));
    http.createServer(serve).listen(port, "127.0.0.1");
  },
  express(port) {
    const app = require("express")();
    app.disable("x-powered-by");
    app.use(async (request, response) =>
      send(response, respond(request, request.originalUrl, await read(request))));
    app.listen(port, "127.0.0.1");
  },
  fastify(port) {
    const app = require("fastify")({ bodyLimit: 1 << 26 });
    app.removeAllContentTypeParsers();
    app.addContentTypeParser("*", (request, payload, done) => done(null));
    app.route({
      method: ["GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"],
      url: "/*",
      async handler(request, reply) {
        const answer = respond(request.raw, request.raw.url, await read(request.raw));
        const [status, headers, body] = answer;
        if (Array.isArray(body)) {
          reply.hijack();
          return send(reply.raw, answer);
        }
        return reply.code(status).headers(headers).send(body);
      },
    });
    app.listen({ port, host: "127.0.0.1" });
  },
};

KINDS[process.argv[2]](Number(process.argv[3]));
