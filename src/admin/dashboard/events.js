// Events: reloads with their reports, health, breakers, drains, commands and who gave them.

import { h, keyed, say } from "./dom.js";
import { state } from "./state.js";
import { moment, t, word } from "./text.js";

const SHOWN = 300;

const items = (list) => list.map((it) => `${it.kind} ${it.name}`.trim()).join(", ");

function changes(what) {
  const diff = what.changes;
  if (!diff) return "";
  const parts = [["added", items(diff.added)], ["removed", items(diff.removed)],
    ["changed", diff.changed.map((it) => `${it.kind} ${it.name} (${it.what.join("; ")})`).join(", ")]];
  return parts.filter(([, text]) => text).map(([name, text]) => `${t(name)}: ${text}`).join("; ");
}

/** One line about an event. */
function summary(it) {
  const what = it.what || {};
  const known = {
    reload: () => [word(what.result), t("generation", what.generation), changes(what), what.error],
    health: () => [`${what.pool}/${what.endpoint}: ${word(what.from)} → ${word(what.to)}`, what.cause],
    breaker: () => [`${what.pool}: ${word(what.from)} → ${word(what.to)}`, what.cause],
    traffic: () => [`${[what.pool && `${t("pool")} ${what.pool}`, what.route && `${t("route")} ${what.route}`, what.endpoint].filter(Boolean).join(" ")}: ${word(what.to)}`,
      what.to === "well" ? "" : what.cause],
    outage: () => [`${what.what}: ${word(what.to)}`, what.cause],
    certificate_expiry: () => [`${t(what.of)} ${what.name}: ${word(what.state)}`, what.certificate, what.expires && moment(what.expires), what.reason],
    rollout: () => [`${what.rollout}: ${word(what.from)} → ${word(what.to)}`, what.reason],
    admin: () => [[what.action, what.pool, what.endpoint, what.rollout].filter(Boolean).join(" "), `HTTP ${what.status}`],
  };
  const parts = known[it.kind] ? known[it.kind]() : Object.entries(what).map(([name, value]) => `${name} ${typeof value === "object" ? JSON.stringify(value) : value}`);
  return parts.filter(Boolean).join(" · ");
}

const bad = (it) => (it.kind === "reload" && it.what.result === "failed") || (it.kind === "health" && ["unhealthy", "ejected", "ejected_by_operator"].includes(it.what.to))
  || (["traffic", "outage"].includes(it.kind) && it.what.to !== "well") || (it.kind === "certificate_expiry" && it.what.state === "expired")
  || (it.kind === "breaker" && it.what.to === "open") || (it.kind === "rollout" && String(it.what.to).startsWith("roll"));

function row(it) {
  const root = h("li", { class: bad(it) ? "event bad" : "event" },
    h("div", { class: "row" }, h("time", { datetime: it.time }, moment(it.time)), h("b", {}, word(it.kind)), h("span", { class: "who" }, it.who)),
    h("p", {}, summary(it)),
    h("details", {}, h("summary", {}, t("details")), h("pre", {}, JSON.stringify(it.what, null, 2))));
  return { root, update() {} };
}

/** The view. */
export function events() {
  const kind = h("select", { id: "kind" });
  const list = h("ol", { class: "events", reversed: true, "aria-live": "polite", "aria-relevant": "additions" });
  const none = h("p", { class: "note" });
  const update = () => {
    const kinds = [...new Set(state.events.map((it) => it.kind))].sort();
    const wanted = kind.value || "";
    keyed(kind, ["", ...kinds], (it) => it, (it) => ({ root: h("option", { value: it }, it ? word(it) : t("allKinds")), update() {} }));
    kind.value = kinds.includes(wanted) ? wanted : "";
    const shown = state.events.filter((it) => !kind.value || it.kind === kind.value).slice(0, SHOWN);
    say(none, shown.length ? "" : t("noEvents"));
    keyed(list, shown, (it) => `${it.id} ${it.time}`, row);
  };
  kind.addEventListener("change", update);
  const seen = { id: null };
  return {
    root: h("div", {}, h("div", { class: "row" }, h("label", { for: "kind" }, t("show")), kind), none, list),
    // Once when it is opened; then with each event.
    update() {
      if (seen.id === null) update();
      seen.id = 0;
    },
    event: update,
  };
}
