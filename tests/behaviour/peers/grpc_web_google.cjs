// Calls the server of grpc_server.py through the proxy with the client of the gRPC project.
//
// Usage: grpc_web_google.cjs HOST:PORT; ends with 0 when everything held.
//
// Node has no XMLHttpRequest of its own, and the one from outside hands an answer over when it
// is whole: that messages come one by one is for grpc_web_connect.cjs to see.

const assert = require("assert");
globalThis.XMLHttpRequest = require("xhr2");
const { GrpcWebClientBase, MethodDescriptor } = require("grpc-web");

const base = `http://${process.argv[2]}`;
const same = (bytes) => bytes;

function method(name, kind) {
  return new MethodDescriptor(`/peer.Echo/${name}`, kind, Object, Object, same, same);
}

const bytes = (text) => new TextEncoder().encode(text);
const text = (bytes) => new TextDecoder().decode(bytes);

// All that a streaming call says.
function stream(client, name, request) {
  return new Promise((resolve) => {
    const told = { messages: [], errors: [], status: undefined };
    const call = client.serverStreaming(`${base}/peer.Echo/${name}`, request, {}, method(name, "server_streaming"));
    call.on("data", (message) => told.messages.push(message));
    call.on("status", (status) => (told.status = status));
    call.on("error", (error) => {
      told.errors.push(error);
      resolve(told);
    });
    call.on("end", () => resolve(told));
  });
}

async function failure(call) {
  try {
    await call;
  } catch (error) {
    return error;
  }
  throw new Error("the call should have failed");
}

async function main() {
  for (const format of ["binary", "text"]) {
    const client = new GrpcWebClientBase({ format });
    const unary = (name, request, metadata = {}) =>
      client.unaryCall(`${base}/peer.Echo/${name}`, request, metadata, method(name, "unary"));

    assert.strictEqual(text(await unary("Unary", bytes("hello"))), "hello", format);
    const large = new Uint8Array(1 << 18).map((_, place) => place);
    assert.deepStrictEqual(await unary("Unary", large), large, format);

    // A status with its message, whichever end of the answer it stood in.
    let error = await failure(unary("Unary", bytes("fail")));
    assert.strictEqual(error.code, 5, `${format}: ${error}`);
    assert.strictEqual(error.message, "no such thing: ü 100%");
    error = await failure(unary("Missing", bytes("")));
    assert.strictEqual(error.code, 12, `${format}: ${error}`);

    // The deadline is the proxy's to keep: only the header says it here.
    error = await failure(unary("Unary", bytes("slow"), { "grpc-timeout": "500m" }));
    assert.strictEqual(error.code, 4, `${format}: ${error}`);
    const left = Number(text(await unary("Unary", bytes("left"), { "grpc-timeout": "20S" })));
    assert(left > 5 && left < 20.5, `${left} seconds are left`);
  }

  // This client streams text only.
  const client = new GrpcWebClientBase({ format: "text" });
  const hundred = await stream(client, "ServerStream", bytes("100"));
  assert.deepStrictEqual(hundred.messages.map(text), Array.from({ length: 100 }, (_, n) => `${n}`));
  assert.strictEqual(hundred.status?.code, 0);
  const none = await stream(client, "ServerStream", bytes("0"));
  assert.deepStrictEqual([none.messages, none.errors], [[], []]);
  const missing = await stream(client, "Missing", bytes(""));
  assert.deepStrictEqual(missing.errors.map((error) => error.code), [12]);
  console.log("all calls held");
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
