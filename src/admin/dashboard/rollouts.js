// Rollouts: the plan as a timeline, both versions' curves, the evidence, and what a person may do.

import { chart } from "./chart.js";
import { h, keyed, mark, say, table } from "./dom.js";
import { series, span, state } from "./state.js";
import { duration, moment, ms, number, percent, t, word } from "./text.js";

const TONES = { promoted: "good", running: "good", holding: "warn", waiting: "warn", pending: "", frozen: "warn", rolling_back: "bad", rolled_back: "bad" };

/** Commands that make sense in a state. */
function verbs(it) {
  if (["promoted"].includes(it.state)) return ["abort"];
  if (["rolled_back", "rolling_back"].includes(it.state)) return ["resume"];
  return [it.paused ? "resume" : "pause", "promote", "abort"];
}

function timeline() {
  const root = h("ol", { class: "steps" });
  return {
    root,
    update(it) {
      const all = [...it.steps.map((step, at) => ({ ...step, at: at + 1 })), { share: 1, hold_ms: 0, at: it.steps.length + 1 }];
      const over = it.state === "promoted";
      const back = ["rolling_back", "rolled_back"].includes(it.state);
      keyed(root, all, (step) => `${step.at} ${step.share}`, () => {
        const share = h("b"), hold = h("span"), bar = h("progress", { max: 1 });
        const item = h("li", {}, share, hold, bar);
        return {
          root: item,
          update(step) {
            const now = step.at === it.step && !over && !back;
            say(share, percent(step.share));
            const held = step.hold_ms / 1000;
            const lasted = Math.min(it.lasted_ms / 1000, held);
            say(hold, step.at > it.steps.length ? t("allUsers") : now ? t("lasted", duration(lasted), duration(held)) : t("holds", duration(held)));
            const done = over || (!back && step.at < it.step);
            mark(item, "aria-current", now ? "step" : null);
            bar.value = done ? 1 : now && held > 0 ? lasted / held : 0;
            mark(bar, "aria-label", `${percent(step.share)}: ${percent(bar.value)}`);
          },
        };
      });
    },
  };
}

function figures(it) {
  const of = (name) => ({ title: t(name), number: true });
  const made = table(t("rolloutOf", it.name, it.pool), [
    { title: t("version"), show: (cell, row) => say(cell, `${t(row.side)}: ${row.version}`) },
    { ...of("stepRequests"), show: (cell, row) => say(cell, number(row.step.requests)) },
    { ...of("stepFailures"), show: (cell, row) => say(cell, number(row.step.failures)) },
    { ...of("p50"), show: (cell, row) => say(cell, ms(row.step.p50_ms)) },
    { ...of("p99"), show: (cell, row) => say(cell, ms(row.step.p99_ms)) },
    { ...of("allRequests"), show: (cell, row) => say(cell, number(row.rollout.requests)) },
    { ...of("allFailures"), show: (cell, row) => say(cell, number(row.rollout.failures)) },
    { ...of("usersHurt"), show: (cell, row) => say(cell, number(row.users_hurt)) },
  ], (row) => row.side);
  return {
    root: made.root,
    update: (now) => made.update(["baseline", "candidate"].map((side) => ({ side, ...now.versions[side] }))),
  };
}

function history(name) {
  const root = h("ul", { class: "history" });
  const title = h("h4", {}, t("history"));
  return {
    root: h("div", {}, title, root),
    update() {
      const own = state.events.filter((it) => (it.kind === "rollout" && it.what.rollout === name) || (it.kind === "admin" && it.what.rollout === name));
      title.hidden = own.length === 0;
      keyed(root, own.slice(0, 30), (it) => it.id, (it) => ({
        root: h("li", {}, h("time", { datetime: it.time }, moment(it.time)), " ",
          it.kind === "admin" ? `${word(it.what.action)} (${it.who})`
            : `${word(it.what.from)} → ${word(it.what.to)}, ${percent(it.what.share)}: ${it.what.reason}`),
        update() {},
      }));
    },
  };
}

/** The proxies that roll out together, or what keeps this one from it. */
function together(fleet) {
  const led = t("fleetLed", fleet.leader || "-", number(fleet.members.length));
  const away = fleet.store_error ? t("fleetAway", fleet.store_error) : "";
  return [led, fleet.held_back, fleet.foreign, away].filter(Boolean).join(" ");
}

function card(first, act) {
  const pill = h("span", { class: "pill" }), reason = h("p", { class: "note" }), fleet = h("p", { class: "note" });
  const buttons = h("div", { class: "row" });
  const versions = [{ label: t("baseline"), tone: "tone1" }, { label: t("candidate"), tone: "tone4" }];
  const charts = [["rate", t("requests"), t("perSecond")], ["failed", t("failed"), "%"], ["p99", t("p99Step"), "ms"]]
    .map(([figure, title, unit]) => ({ figure, ...chart(title, unit, versions) }));
  const gate = h("meter", { min: 0, max: 1, low: 0.4, high: 0.8, optimum: 0, id: `gate-${first.name}` }), gateText = h("span");
  const steps = timeline(), numbers = figures(first), past = history(first.name);
  const root = h("section", { class: "card" },
    h("div", { class: "row" }, h("h3", {}, t("rolloutOf", first.name, first.pool)), pill, buttons),
    reason, fleet, steps.root,
    h("p", { class: "gate" }, h("label", { for: `gate-${first.name}` }, t("evidence")), " ", gate, " ", gateText),
    h("div", { class: "charts" }, charts.map((it) => it.root)), numbers.root, past.root);
  return {
    root,
    update(it) {
      say(pill, `${word(it.state)}${it.paused ? ` · ${t("paused")}` : ""} · ${percent(it.share)}`);
      mark(pill, "class", `pill ${TONES[it.state] || ""}`);
      say(reason, it.reason);
      fleet.hidden = !it.fleet;
      say(fleet, it.fleet ? together(it.fleet) : "");
      steps.update(it);
      numbers.update(it);
      past.update();
      const strongest = Math.max(it.evidence.errors, it.evidence.latency ?? it.evidence.errors);
      gate.value = Math.min(1, Math.max(0, strongest / it.evidence.rolls_back_at));
      say(gateText, t("ofRollback", percent(gate.value)));
      for (const one of charts) {
        one.update(["baseline", "candidate"].map((side) => series(`rollout ${it.name} ${side} ${one.figure}`)), span());
      }
      keyed(buttons, verbs(it), (verb) => verb, (verb) => ({
        root: h("button", { type: "button", "aria-label": `${t(verb)}: ${it.name}`, onclick: () => act(it.name, verb) }, t(verb)),
        update() {},
      }));
    },
  };
}

/** The view. `act(rollout, verb)` changes its course. */
export function rollouts(act) {
  const cards = h("div"), none = h("p", { class: "note" });
  const update = () => {
    if (!state.overview) return;
    say(none, state.overview.rollouts.length ? "" : t("noRollouts"));
    keyed(cards, state.overview.rollouts, (it) => it.name, (it) => card(it, act));
  };
  return { root: h("div", {}, none, cards), update };
}
