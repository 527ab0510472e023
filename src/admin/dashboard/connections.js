// Connections by generation, what drains, certificates, sources of endpoints.

import { get } from "./api.js";
import { h, mark, say, table } from "./dom.js";
import { state } from "./state.js";
import { duration, moment, number, t, word } from "./text.js";

const EVERY = 3000, SHOWN = 300;

function clients() {
  return table(t("connections"), [
    { title: t("client"), show: (cell, it) => say(cell, it.client) },
    { title: t("listener"), show: (cell, it) => say(cell, it.listener) },
    { title: t("protocol"), show: (cell, it) => say(cell, it.protocol) },
    { title: t("age"), number: true, show: (cell, it) => say(cell, duration(it.age_ms / 1000)) },
    { title: t("requests"), number: true, show: (cell, it) => say(cell, number(it.requests)) },
    { title: t("inFlight"), number: true, show: (cell, it) => say(cell, number(it.in_flight)) },
    { title: t("generationWord"), number: true, show(cell, it) {
      say(cell, it.generation || "–");
      mark(cell, "class", state.overview && it.generation > 0 && it.generation !== state.overview.status.generation ? "number warn" : "number");
    } },
    { title: t("state"), show: (cell, it) => say(cell, it.closing ? `◐ ${t("closing")}` : `● ${t("open")}`) },
    { title: t("subject"), show: (cell, it) => say(cell, it.tls_subject || "–") },
  ], (it) => it.id);
}

function drains() {
  return table(t("drains"), [
    { title: t("what"), show: (cell, it) => say(cell, it.what) },
    { title: t("left"), show: (cell, it) => say(cell, it.left) },
  ], (it) => it.what);
}

function certificates() {
  return table(t("certificates"), [
    { title: t("certificate"), show: (cell, it) => say(cell, it.certificate) },
    { title: t("of"), show: (cell, it) => say(cell, `${t(it.of)} ${it.name}`) },
    { title: t("names"), show: (cell, it) => say(cell, it.revocation_list ? revocations(it.revocation_list) : it.names.join(", ") || "–") },
    { title: t("expires"), show(cell, it) {
      const left = it.expires_in_seconds, time = duration(Math.abs(left));
      const words = it.revocation_list ? ["overdueFor", "dueIn"] : ["expiredFor", "expiresIn"];
      say(cell, `${moment(it.expires)} (${t(words[left < 0 ? 0 : 1], time)})`);
      mark(cell, "class", left < 0 && it.revocation_list ? "warn" : left < 0 ? "bad" : it.expires_soon && !it.acme ? "warn" : "good");
    } },
    { title: t("nextOrder"), show(cell, it) {
      const { error, next_order: next } = it.acme || {};
      say(cell, error || (next ? moment(next) : "–"));
      mark(cell, "class", error ? "bad" : "");
    } },
  ], (it) => `${it.of} ${it.name} ${it.certificate} ${it.revocation_list ? revocations(it.revocation_list) + it.expires : ""}`);
}

function revocations(it) {
  return it.number ? t("revocationListNumber", it.issuer, it.number) : t("revocationList", it.issuer);
}

function sources() {
  return table(t("sources"), [
    { title: t("pool"), show: (cell, it) => say(cell, it.name) },
    { title: t("from"), show: (cell, it) => say(cell, it.discovery.from) },
    { title: t("endpoints"), number: true, show: (cell, it) => say(cell, number(it.discovery.endpoints)) },
    { title: t("succeeded"), show: (cell, it) => say(cell, it.discovery.succeeded ? moment(it.discovery.succeeded) : t("never")) },
    { title: t("lastChange"), show: (cell, it) => say(cell, it.discovery.changed ? moment(it.discovery.changed) : "–") },
    { title: t("state"), show(cell, it) {
      const one = it.discovery, text = [];
      if (one.error) text.push(t("sourceFails", moment(one.error_since), one.error));
      if (one.restored) text.push(t("restored", moment(one.restored)));
      if (one.trouble) text.push(t("sourceTrouble", moment(one.trouble_since), one.trouble));
      if (one.held) text.push(t("sourceHeld", one.held, one.held_until));
      if (one.absent) text.push(t("sourceAbsent", one.absent));
      if (one.skipped) text.push(t("sourceSkipped", one.skipped, one.skipped_entries[0] || ""));
      say(cell, text.length ? `◐ ${text.join(" · ")}` : `● ${t("fine")}`);
      mark(cell, "class", text.length ? "warn" : "good");
    } },
  ], (it) => it.name);
}

/** All that finishes its work and takes no more. */
function draining(it, all) {
  const list = [];
  if (it.status.state === "draining") list.push({ what: t("wholeProxy"), left: t("connectionsLeft", number(it.status.connections)) });
  if (it.status.predecessor) list.push({ what: t("process", it.status.predecessor.pid), left: t("connectionsLeft", number(it.status.predecessor.connections || 0)) });
  const old = new Map();
  // One that has sent no request yet holds none.
  for (const one of all) if (one.generation > 0 && one.generation !== it.status.generation) old.set(one.generation, (old.get(one.generation) || 0) + 1);
  for (const [generation, count] of old) list.push({ what: t("generation", generation), left: t("connectionsLeft", number(count)) });
  for (const pool of it.pools) {
    for (const one of pool.endpoints) {
      if (one.state === "draining" || one.down) list.push({ what: `${pool.name}/${one.address} (${one.down || word(one.state)})`, left: one.in_flight === null ? "–" : t("inFlightLeft", number(one.in_flight)) });
    }
  }
  return list;
}

/** The view. */
export function connections() {
  const parts = { drains: drains(), clients: clients(), certificates: certificates(), sources: sources() };
  const notes = Object.fromEntries(Object.keys(parts).map((name) => [name, h("p", { class: "note" })]));
  const section = (name, title) => h("section", {}, h("h2", {}, title), notes[name], parts[name].root);
  const root = h("div", {}, section("drains", t("drains")), section("certificates", t("certificates")), section("sources", t("sources")), section("clients", t("connections")));
  let all = [], last = 0, busy = false;
  const fill = (name, list, text) => {
    parts[name].update(list);
    parts[name].root.hidden = list.length === 0;
    say(notes[name], list.length ? text || "" : t(`no_${name}`));
  };
  return {
    root,
    async update() {
      const it = state.overview;
      if (!it) return;
      fill("drains", draining(it, all));
      fill("certificates", it.certificates);
      fill("sources", it.pools.filter((pool) => pool.discovery));
      if (busy || Date.now() - last < EVERY) return;
      busy = true;
      try {
        all = await get("/connections");
        const kinds = new Map();
        for (const one of all) kinds.set(one.protocol, (kinds.get(one.protocol) || 0) + 1);
        const text = [...kinds].map(([name, count]) => `${name}: ${number(count)}`).join(" · ");
        fill("clients", all.slice(0, SHOWN), all.length > SHOWN ? `${text} · ${t("leftOut", number(all.length - SHOWN))}` : text);
      } catch (error) {
        say(notes.clients, error.message);
      }
      last = Date.now();
      busy = false;
    },
  };
}
