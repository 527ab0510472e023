// A client of Eureka for the behaviour tests: enters an instance of ORDERS and reads all of them, by deltas.
//
// Usage: eureka_client.cjs EUREKA_PORT PORT; says "ready" when it is registered. At the end of its input it says what it
// found, a line "found HOST:PORT" for each instance, and removes its own.

const { Eureka } = require("eureka-js-client");

const [eurekaPort, port] = process.argv.slice(2).map(Number);
const say = (level) => (...words) => console.error(level, ...words);
const client = new Eureka({
  shouldUseDelta: true,
  logger: { debug() {}, info() {}, warn: say("warning"), error: say("error") },
  eureka: {
    host: "127.0.0.1",
    port: eurekaPort,
    servicePath: "/eureka/apps/",
    heartbeatInterval: 1000,
    registryFetchInterval: 500,
  },
  instance: {
    instanceId: `127.0.0.1:orders:${port}`,
    app: "ORDERS",
    hostName: "127.0.0.1",
    ipAddr: "127.0.0.1",
    vipAddress: "orders",
    port: { $: port, "@enabled": true },
    dataCenterInfo: { "@class": "com.netflix.appinfo.InstanceInfo$DefaultDataCenterInfo", name: "MyOwn" },
    metadata: { version: "1.4.2" },
  },
});

const found = () => client.getInstancesByAppId("ORDERS").map((it) => `${it.ipAddr}:${it.port.$}`);

const end = (tries) => {
  if (tries > 0 && !found().includes(`127.0.0.1:${port}`)) {
    setTimeout(end, 100, tries - 1);
    return;
  }
  for (const address of found()) console.log("found", address);
  client.stop((error) => process.exit(error ? 1 : 0));
};

process.stdin.on("end", () => end(100));
client.start((error) => {
  if (error) throw error;
  console.log("ready");
  process.stdin.resume();
});
