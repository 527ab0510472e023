// Calls the server of grpc_server.py through the proxy with the client of the Connect project.
//
// Usage: grpc_web_connect.cjs HOST:PORT; ends with 0 when everything held.

const assert = require("assert");
const { create, createFileRegistry } = require("@bufbuild/protobuf");
const { BytesValueSchema, FileDescriptorProtoSchema, file_google_protobuf_wrappers } = require("@bufbuild/protobuf/wkt");
const { Code, ConnectError, createClient } = require("@connectrpc/connect");
const { createGrpcWebTransport } = require("@connectrpc/connect-web");

const value = ".google.protobuf.BytesValue";
const method = (name, serverStreaming) => ({ name, inputType: value, outputType: value, serverStreaming });
const file = create(FileDescriptorProtoSchema, {
  name: "peer.proto",
  package: "peer",
  syntax: "proto3",
  dependency: [file_google_protobuf_wrappers.proto.name],
  service: [{ name: "Echo", method: [method("Unary", false), method("Fail", false), method("Missing", false), method("Repeat", true), method("Endless", true)] }],
});
const registry = createFileRegistry(file, () => file_google_protobuf_wrappers.proto);
const service = registry.getService("peer.Echo");
const transport = createGrpcWebTransport({ baseUrl: `http://${process.argv[2]}` });
const client = createClient(service, transport);

const message = (text) => create(BytesValueSchema, { value: new TextEncoder().encode(text) });
const text = (message) => new TextDecoder().decode(message.value);

async function failure(call) {
  try {
    await call;
  } catch (error) {
    assert(error instanceof ConnectError, `${error}`);
    return error;
  }
  throw new Error("the call should have failed");
}

async function main() {
  let head;
  let tail;
  const answer = await client.unary(message("hello"), {
    onHeader: (fields) => (head = fields),
    onTrailer: (fields) => (tail = fields),
  });
  assert.strictEqual(text(answer), "hello");
  assert.strictEqual(head.get("x-head"), "seen");
  assert.strictEqual(head.get("content-type"), "application/grpc-web+proto");
  assert.strictEqual(tail.get("x-tail-bin").replace(/=+$/, ""), "AAH/");
  assert.strictEqual(tail.get("grpc-status"), "0");
  const large = "x".repeat(1 << 20);
  assert.strictEqual(text(await client.unary(message(large))), large);

  const failed = await failure(client.fail(message("")));
  assert.strictEqual(failed.code, Code.NotFound, `${failed}`);
  assert.strictEqual(failed.rawMessage, "no such thing: ü 100%");
  assert.strictEqual(failed.metadata.get("x-why"), "gone");
  const missing = await failure(client.missing(message("")));
  assert.strictEqual(missing.code, Code.Unimplemented, `${missing}`);

  // The server says each request once for each of its bytes, head of the message included.
  const repeated = [];
  for await (const part of client.repeat(message("abc"))) {
    repeated.push(text(part));
  }
  assert.deepStrictEqual(repeated, ["abc", "abc", "abc", "abc", "abc"]);
  for await (const part of client.repeat(message(""))) {
    throw new Error(`a message of nothing: ${part}`);
  }

  // What is endless is read as it comes, and given up in the middle.
  const enough = new AbortController();
  let parts = 0;
  const ended = await failure(
    (async () => {
      for await (const _ of client.endless(message(""), { signal: enough.signal })) {
        if (++parts === 5) enough.abort();
      }
    })(),
  );
  assert.deepStrictEqual([ended.code, parts], [Code.Canceled, 5]);
  assert.strictEqual(text(await client.unary(message("still here"))), "still here");
  console.log("all calls held");
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
