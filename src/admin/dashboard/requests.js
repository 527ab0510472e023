// Recent and failed requests, with the record of what was decided and done for each.

import { get } from "./api.js";
import { h, mark, say, table } from "./dom.js";
import { clock, moment, ms, t, word } from "./text.js";

const EVERY = 3000;

const failed = (it) => it.status >= 500 || it.reason !== null;

function attempts(it) {
  const made = table(t("attempts"), [
    { title: "#", show: (cell, row) => say(cell, row.number) },
    { title: t("endpoint"), show: (cell, row) => say(cell, row.endpoint) },
    { title: t("outcome"), show: (cell, row) => say(cell, row.outcome) },
    { title: t("time"), number: true, show: (cell, row) => say(cell, ms(row.ms)) },
    { title: t("waited"), number: true, show: (cell, row) => say(cell, row.waited_ms > 0 ? ms(row.waited_ms) : "–") },
    { title: t("note"), show: (cell, row) => say(cell, row.hedge ? t("hedge") : row.subrequest ? t("subrequest") : "–") },
  ], (row) => row.number);
  made.update(it.attempts.map((row, at) => ({ number: at + 1, ...row })));
  return made.root;
}

/** The record of one request, as text and tables. */
function record(it, close) {
  const facts = [["requestId", it.request_id], ["time", moment(it.time_unix_ms)], ["client", it.client], ["listener", it.listener],
    ["route", it.route || t("none")], ["pool", it.pool], ["endpoint", it.endpoint], ["version", it.version], ["versionAsked", it.version_asked],
    ["user", it.user], ["cache", it.cache], ["reason", [it.reason, it.reason_detail].filter(Boolean).join(": ")], ["notRetried", it.not_retried && word(it.not_retried)], ["took", ms(it.total_ms)], ["generationWord", it.generation], ["headers", it.headers.map(([name, value]) => `${name}: ${value}`).join("\n")]];
  return [h("h2", { id: "record-title" }, `${it.method} ${it.url} → ${it.status}`),
    h("dl", { class: "facts" }, facts.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => [h("dt", {}, t(name)), h("dd", {}, String(value))])),
    it.attempts.length ? h("h3", {}, t("attempts")) : null, it.attempts.length ? attempts(it) : null,
    h("p", { class: "note" }, t("whyToo"), " ", h("code", {}, `sluicegate why ${it.request_id}`)),
    h("button", { type: "button", class: "quiet", onclick: close }, t("close"))];
}

/** The view. */
export function requests() {
  const only = h("input", { type: "checkbox", id: "only-failed" });
  const held = h("input", { type: "checkbox", id: "hold" });
  const find = h("input", { type: "search", id: "find", placeholder: t("findHelp"), autocomplete: "off", spellcheck: "false" });
  const id = h("input", { type: "search", id: "by-id", placeholder: "x-request-id", autocomplete: "off", spellcheck: "false" });
  const note = h("p", { class: "note", role: "status" });
  const dialog = h("dialog", { class: "large", "aria-labelledby": "record-title" });
  const open = (it) => {
    dialog.replaceChildren(...record(it, () => dialog.close()).flat().filter(Boolean));
    dialog.showModal();
  };
  const made = table(t("requests"), [
    { title: t("time"), show: (cell, it) => say(cell, clock(it.time_unix_ms)) },
    { title: t("request"), begin(cell) {
      cell.press = h("button", { type: "button", class: "link", onclick: () => open(cell.item) });
      cell.append(cell.press);
    }, show(cell, it) {
      cell.item = it;
      say(cell.press, `${it.method} ${it.url}`);
      mark(cell, "class", "wide");
    } },
    { title: t("status"), number: true, show(cell, it) { say(cell, it.status); mark(cell, "class", failed(it) ? "number bad" : it.status >= 400 ? "number warn" : "number"); } },
    { title: t("reason"), show: (cell, it) => say(cell, it.reason || "–") },
    { title: t("route"), show: (cell, it) => say(cell, it.route || "–") },
    { title: t("endpoint"), long: true, show: (cell, it) => say(cell, it.endpoint ? `${it.endpoint}${it.version ? ` (${it.version})` : ""}` : "–") },
    { title: t("tries"), number: true, show: (cell, it) => say(cell, it.attempts.length) },
    { title: t("took"), number: true, show: (cell, it) => say(cell, ms(it.total_ms)) },
  ], (it) => `${it.request_id} ${it.time_unix_ms}`);
  let all = [], last = 0, busy = false;
  const draw = () => {
    const text = find.value.trim().toLowerCase();
    const fits = (it) => !text || [it.method, it.url, it.status, it.reason, it.route, it.pool, it.endpoint, it.version, it.client, it.request_id]
      .some((value) => String(value ?? "").toLowerCase().includes(text));
    const shown = all.filter((it) => (!only.checked || failed(it)) && fits(it)).slice(0, 200);
    made.update(shown);
    say(note, shown.length ? t("requestsKept", shown.length) : t("noRequests"));
  };
  const ask = async () => {
    if (busy || held.checked || Date.now() - last < EVERY) return;
    busy = true;
    try {
      all = await get("/requests?last=1000");
      draw();
    } catch (error) {
      say(note, error.message);
    }
    last = Date.now();
    busy = false;
  };
  const byId = async (sent) => {
    sent.preventDefault();
    try {
      open(await get(`/requests/${encodeURIComponent(id.value.trim())}`));
    } catch (error) {
      say(note, error.message);
    }
  };
  only.addEventListener("change", draw);
  find.addEventListener("input", draw);
  const root = h("div", {},
    h("div", { class: "row form" },
      h("label", { for: "find" }, t("find")), find,
      h("span", {}, only, h("label", { for: "only-failed" }, ` ${t("onlyFailed")}`)),
      h("span", {}, held, h("label", { for: "hold" }, ` ${t("hold")}`)),
      h("form", { class: "row", onsubmit: byId }, h("label", { for: "by-id" }, t("requestId")), id, h("button", { type: "submit" }, t("showIt")))),
    note, h("section", {}, made.root), dialog);
  return { root, update: ask };
}
