// The admin API. The token stays in this tab's session and goes to this origin only.

const KEY = "sluicegate-token";

/** A refusal, with the sentence of the proxy. */
export class Refused extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

export const token = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

function head(extra) {
  const headers = { ...extra };
  if (token.get()) headers.authorization = `Bearer ${token.get()}`;
  return headers;
}

async function ask(path, options) {
  const answer = await fetch(path, { cache: "no-store", credentials: "omit", ...options });
  const body = await answer.json().catch(() => null);
  if (!answer.ok) throw new Refused(answer.status, (body && body.error) || `${answer.status} ${answer.statusText}`);
  return body;
}

export const get = (path) => ask(path, { headers: head({ accept: "application/json" }) });

export const post = (path, body) => ask(path, {
  method: "POST",
  headers: head({ accept: "application/json", "content-type": "application/json" }),
  body: body === undefined ? undefined : JSON.stringify(body),
});

const pause = (ms) => new Promise((done) => setTimeout(done, ms));

/** Follows events and the overview for ever; calls `hear(kind, data)` and `tell(state, error)`. */
export async function follow(hear, tell) {
  let last = null;
  let wait = 1000;
  for (;;) {
    try {
      const extra = { accept: "text/event-stream" };
      if (last !== null) extra["last-event-id"] = last;
      const answer = await fetch("/events?overview=1s&last=200", { headers: head(extra), cache: "no-store", credentials: "omit" });
      if (!answer.ok) {
        const body = await answer.json().catch(() => null);
        throw new Refused(answer.status, (body && body.error) || String(answer.status));
      }
      await read(answer.body.pipeThrough(new TextDecoderStream()).getReader(), (kind, id, data) => {
        wait = 1000;
        tell("open");
        if (id !== null) last = id;
        try {
          hear(kind, data);
        } catch (fault) {
          // A fault of the page is no fault of the connection.
          console.error(fault);
        }
      });
      tell("lost");
    } catch (error) {
      tell(error instanceof Refused && error.status === 401 ? "token" : "lost", error);
    }
    await pause(wait);
    wait = Math.min(wait * 2, 10000);
  }
}

// Frames of server-sent events (WHATWG HTML, section 9.2), as this API writes them.
async function read(reader, hear) {
  let text = "";
  for (;;) {
    // A connection that is silent for longer has died: the proxy sends a sign of life.
    const late = pause(30000).then(() => ({ late: true }));
    const { done, value, late: silent } = await Promise.race([reader.read(), late]);
    if (silent) await reader.cancel();
    if (done || silent) return;
    text += value;
    for (let end = text.indexOf("\n\n"); end >= 0; end = text.indexOf("\n\n")) {
      let kind = "message", id = null, data = "";
      for (const line of text.slice(0, end).split("\n")) {
        if (line.startsWith("event: ")) kind = line.slice(7);
        else if (line.startsWith("id: ")) id = line.slice(4);
        else if (line.startsWith("data: ")) data += line.slice(6);
      }
      text = text.slice(end + 2);
      if (data) hear(kind, id, JSON.parse(data));
    }
  }
}
