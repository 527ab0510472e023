// The cache tests of the HTTP working group (npm http-cache-tests), before and behind the proxy.
//
// Usage: cache_tests.mjs server PORT: the origin, until it is ended.
//        cache_tests.mjs client URL: all tests; then one line of JSON for each that was run, and
//        one with what nginx passes by the table of the suite.

import fs from "node:fs";
import http from "node:http";
import path from "node:path";

const root = path.join(process.env.NODE_PATH, "http-cache-tests");
const load = (file) => import(path.join(root, file));
// Standard output is for the results.
console.log = console.error;

async function server(port) {
  const handlers = {
    config: (await load("server/handle-config.mjs")).default,
    state: (await load("server/handle-state.mjs")).default,
    test: (await load("server/handle-test.mjs")).default,
  };
  const origin = http.createServer((request, response) => {
    const segments = new URL(request.url, "http://origin").pathname.split("/").slice(1);
    const handle = handlers[segments.shift()];
    if (handle) return handle(segments, request, response);
    response.writeHead(404).end();
  });
  origin.listen(Number(port), "127.0.0.1", () => process.stdout.write("ready\n"));
}

async function client(url) {
  const suites = (await load("tests/index.mjs")).default;
  suites.push((await load("tests/surrogate-control.mjs")).default);
  const { runTests } = await load("client/runner.mjs");
  const { makeCacheTest, testResults } = await load("client/test.mjs");
  const fetch = (await import(path.join(process.env.NODE_PATH, "node-fetch/lib/index.mjs"))).default;
  process.stdout.write("ready\n");
  await runTests(suites, fetch, false, url, 60);
  const all = suites.flatMap((suite) => suite.tests).filter((test) => test.id in testResults);
  const kind = (test) => test.kind ?? "required";
  // Some depend on seconds, and the machine may have been busy.
  for (let again = 0; again < 2; again++) {
    const failed = all.filter((test) => kind(test) !== "check" && testResults[test.id] !== true);
    for (const test of failed) delete testResults[test.id];
    await Promise.all(failed.map(makeCacheTest));
  }
  const tell = (value) => process.stdout.write(JSON.stringify(value) + "\n");
  for (const test of all) {
    const result = testResults[test.id];
    const passed = result === true;
    tell({ id: test.id, kind: kind(test), passed, said: passed ? "" : result.join(": ") });
  }
  const nginx = JSON.parse(fs.readFileSync(path.join(root, "results/nginx.json")));
  const passes = (wanted) => all.filter((test) => kind(test) === wanted && nginx[test.id] === true).length;
  tell({ nginx: { required: passes("required"), optimal: passes("optimal") } });
}

const [what, where] = process.argv.slice(2);
await { server, client }[what](where);
