// Uses the proxy in each way that a page can, and writes what it found into the page.

const told = {};

async function post() {
  const answer = await fetch("/form", { method: "POST", body: "x".repeat(300000) });
  told.post = `${answer.status} ${await answer.text()}`;
}

async function stream() {
  const reader = (await fetch("/large")).body.getReader();
  told.large = 0;
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    told.large += part.value.length;
  }
}

async function miss() {
  told.missing = (await fetch("/none", { cache: "no-store" })).headers.get("proxy-status");
}

function talk() {
  return new Promise((resolve) => {
    const socket = new WebSocket(`wss://${location.host}/socket`, "chat");
    socket.onopen = () => socket.send("hello");
    socket.onmessage = (event) => {
      told.socket = `${socket.protocol}: ${event.data}`;
      socket.close(1000);
    };
    socket.onclose = (event) => {
      told.closed = event.code;
      resolve();
    };
  });
}

async function call() {
  const message = [0, 0, 0, 0, 2, 104, 105];
  const answer = await fetch("/peer.Echo/Unary", {
    method: "POST",
    headers: { "content-type": "application/grpc-web+proto", "x-grpc-web": "1" },
    body: new Uint8Array(message),
  });
  const bytes = new Uint8Array(await answer.arrayBuffer());
  told.call = String.fromCharCode(...bytes.slice(5, 7));
  told.status = String.fromCharCode(...bytes.slice(12)).match(/grpc-status:(\d+)/)?.[1];
}

async function all() {
  for (const step of [post, stream, miss, talk, call]) {
    await step().catch((error) => (told[step.name] = `${error}`));
  }
  const [page] = performance.getEntriesByType("navigation");
  told.protocol = page.nextHopProtocol;
  told.styled = getComputedStyle(document.body).marginTop;
  document.getElementById("told").textContent = JSON.stringify(told);
  await fetch("/told", { method: "POST", body: "done" });
}

all();
