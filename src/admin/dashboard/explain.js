// The explain form: where a request would go, and why the other routes lost.

import { Refused, post } from "./api.js";
import { h, mark, say, table } from "./dom.js";
import { number, t, word } from "./text.js";

function lines(text) {
  return text.split("\n").map((line) => line.trim()).filter(Boolean).map((line) => {
    const at = line.indexOf(":");
    return at > 0 ? [line.slice(0, at).trim(), line.slice(at + 1).trim()] : [line, ""];
  });
}

function action(it) {
  if (!it.action) return it.routes.refused ? t("refusedBy", it.routes.refused) : t("noRouteTakes", it.listener);
  const [[kind, value]] = Object.entries(it.action);
  const rollout = () => t("toRollout", value.name, value.version || t("byChance"), value.by);
  const split = () => t("toSplit", value.pool || t("byChance"), value.by);
  const known = { pool: () => t("toPool", value), redirect: () => t("toRedirect", value), respond: () => t("toRespond", value), rollout, split };
  return known[kind] ? known[kind]() : JSON.stringify(it.action);
}

function result(it) {
  const candidates = table(t("candidates"), [
    { title: t("endpoint"), show: (cell, one) => say(cell, one.endpoint) },
    { title: t("state"), show: (cell, one) => say(cell, one.health ? word(one.health) : "–") },
    { title: t("version"), show: (cell, one) => say(cell, one.version || "–") },
    { title: t("weight"), number: true, show: (cell, one) => say(cell, number(one.weight)) },
    { title: t("mayServe"), show(cell, one) { say(cell, one.skipped ? `○ ${one.skipped}` : `● ${t("yes")}`); mark(cell, "class", one.skipped ? "warn" : "good"); } },
  ], (one) => one.endpoint);
  candidates.update(it.candidates);
  const verdicts = table(t("routes"), [
    { title: t("route"), show: (cell, one) => say(cell, one.route) },
    { title: t("outcome"), show(cell, one) { say(cell, word(one.outcome)); mark(cell, "class", one.outcome === "wins" ? "good" : ""); } },
    { title: t("cause"), show: (cell, one) => say(cell, one.reason) },
  ], (one) => one.route);
  verdicts.update(it.routes.verdicts.slice(0, 200));
  const rules = it.policies;
  const facts = [["listener", it.listener], ["breaker", it.breaker]];
  if (rules) {
    facts.push(["timeouts", `${rules.timeouts.total_ms} ms / ${rules.timeouts.attempt_ms} ms / ${rules.timeouts.idle_ms} ms`], ["tries", rules.attempts],
      ["filters", rules.filters.join(", ")], ["limits", rules.rate_limits.map((one) => `${one.name}: ${one.rate} (${one.key})`).join(", ")]);
  }
  return [h("h3", {}, it.route ? t("routeOf", it.route) : t("noRoute")), h("p", {}, action(it)),
    h("dl", { class: "facts" }, facts.filter(([, value]) => value).map(([name, value]) => [h("dt", {}, t(name)), h("dd", {}, String(value))])),
    it.candidates.length ? candidates.root : null, h("h3", {}, t("routes")), verdicts.root];
}

/** The view. */
export function explain() {
  const field = (name, attributes) => h("input", { id: `explain-${name}`, spellcheck: "false", autocomplete: "off", ...attributes });
  const method = field("method", { value: "GET", size: 7 }), url = field("url", { value: "/", required: true });
  const source = field("source", { placeholder: "127.0.0.1" }), listener = field("listener");
  const headers = h("textarea", { id: "explain-headers", rows: 3, spellcheck: "false", placeholder: "x-tenant: acme" });
  const out = h("section", { class: "card", hidden: true, "aria-live": "polite" });
  const label = (name, input) => h("div", { class: "field" }, h("label", { for: input.id }, t(name)), input);
  const send = async (sent) => {
    sent.preventDefault();
    const body = { method: method.value.trim(), url: url.value.trim(), headers: lines(headers.value) };
    if (source.value.trim()) body.source = source.value.trim();
    if (listener.value.trim()) body.listener = listener.value.trim();
    try {
      out.replaceChildren(...result(await post("/explain", body)).flat().filter(Boolean));
    } catch (error) {
      out.replaceChildren(h("p", { class: "bad" }, error instanceof Refused ? error.message : String(error)));
    }
    out.hidden = false;
  };
  const root = h("div", {}, h("form", { class: "card explain", onsubmit: send },
    label("method", method), label("url", url), label("headersHelp", headers), label("sourceAddress", source), label("listener", listener),
    h("button", { type: "submit" }, t("explainIt"))), out);
  return { root, update() {} };
}
