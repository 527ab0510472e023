// The page: navigation, the stream of the proxy, what is wrong, the token.

import { Refused, follow, post, token } from "./api.js";
import { h, keyed, mark, say } from "./dom.js";
import { overview } from "./overview.js";
import { connections } from "./connections.js";
import { events } from "./events.js";
import { explain } from "./explain.js";
import { requests } from "./requests.js";
import { rollouts } from "./rollouts.js";
import { event, sample, state } from "./state.js";
import { duration, language, moment, switchLanguage, t, word } from "./text.js";

const $ = (id) => document.getElementById(id);

/** Says something to everyone, also to those who do not look. */
function announce(text, tone) {
  say($("said"), text);
  const toast = h("div", { class: `toast ${tone || ""}`, "aria-hidden": "true" }, text);
  document.body.append(toast);
  setTimeout(() => toast.remove(), 6000);
}

function askToken() {
  const dialog = $("token");
  if (dialog.open) return;
  const field = h("input", { type: "password", id: "secret", autocomplete: "off", spellcheck: "false", "aria-describedby": "secret-help" });
  const close = () => dialog.close();
  const submit = (sent) => {
    sent.preventDefault();
    token.set(field.value.trim());
    location.reload();
  };
  const forget = () => {
    token.set("");
    location.reload();
  };
  dialog.replaceChildren(h("form", { onsubmit: submit },
    h("h2", {}, t("tokenTitle")),
    h("label", { for: "secret" }, t("token")), field, h("p", { class: "note", id: "secret-help" }, t("tokenHelp")),
    h("div", { class: "row" }, h("button", { type: "submit" }, t("use")),
      h("button", { type: "button", class: "quiet", onclick: close }, t("cancel")),
      token.get() ? h("button", { type: "button", class: "quiet", onclick: forget }, t("forget")) : null)));
  dialog.showModal();
  field.focus();
}

/** Asks before something is changed. */
function sure(question, verb) {
  const dialog = $("sure");
  return new Promise((answer) => {
    const end = (value) => () => {
      dialog.close();
      answer(value);
    };
    dialog.oncancel = () => answer(false);
    dialog.replaceChildren(h("p", { id: "question" }, question),
      h("div", { class: "row" }, h("button", { type: "button", id: "yes", onclick: end(true) }, verb),
        h("button", { type: "button", class: "quiet", onclick: end(false) }, t("cancel"))));
    mark(dialog, "aria-labelledby", "question");
    dialog.showModal();
  });
}

/** Changes something by the API, and says what became of it. */
async function change(path, question, verb) {
  if (!(await sure(question, verb))) return;
  try {
    await post(path);
    announce(t("done", verb), "good");
  } catch (error) {
    announce(t("notDone", error.message), "bad");
    if (error instanceof Refused && error.status === 401) askToken();
  }
}

const changeEndpoint = (pool, address, verb) => change(
  `/pools/${encodeURIComponent(pool)}/endpoints/${encodeURIComponent(address)}/${verb}`,
  t(verb === "drain" ? "sureDrain" : "sureEnable", `${pool}/${address}`), t(verb));

const changeRollout = (name, verb) => change(`/rollouts/${encodeURIComponent(name)}/${verb}`, t(`sure_${verb}`, name), t(verb));

const views = {
  overview: () => overview(changeEndpoint),
  rollouts: () => rollouts(changeRollout),
  events,
  requests,
  explain,
  connections,
};

let shown = null;

function show() {
  const wanted = location.hash.slice(1);
  const name = wanted in views ? wanted : "overview";
  shown = views[name]();
  const content = $("content");
  content.replaceChildren(h("h2", { class: "unseen" }, t(name)), shown.root);
  for (const link of $("nav").querySelectorAll("a")) mark(link, "aria-current", link.hash === `#${name}` ? "page" : null);
  document.title = `${t(name)} · Sluicegate`;
  shown.update();
}

/** All that is wrong, the worst first. */
function wrong(it) {
  const all = [];
  // Readiness says that a revocation list is overdue.
  for (const one of it.certificates.filter((one) => !one.revocation_list)) {
    const left = one.expires_in_seconds;
    const words = [one.certificate, `${t(one.of)} ${one.name}`, duration(Math.abs(left)), moment(one.expires)];
    if (left < 0) all.push(["bad", t("certificateOver", ...words)]);
    // One that a CA renews by itself is told of only when that fails.
    else if (one.expires_soon && !one.acme) all.push(["warn", t("certificateSoon", ...words)]);
  }
  for (const pool of it.pools) {
    const out = pool.endpoints.filter((one) => !one.eligible);
    if (out.length && out.length < pool.endpoints.length) {
      const [first] = out, state = first.condition || first.state.replaceAll("_", " ");
      const why = first.cause && !first.down ? `: ${first.cause}` : "";
      all.push(["warn", t("shrunkIn", pool.name, out.length, pool.endpoints.length, `${first.address}, ${state}${why}`)]);
    }
    if (pool.panic) all.push(["bad", t("panicIn", pool.name)]);
    if (pool.breaker && pool.breaker.state !== "closed") all.push(["bad", t("breakerIn", pool.name, word(pool.breaker.state), pool.breaker.cause || "")]);
  }
  for (const one of it.rollouts) {
    if (one.state === "waiting") all.push(["warn", t("waitingIn", one.name, one.reason)]);
    if (one.state === "frozen") all.push(["warn", t("frozenIn", one.name, one.reason)]);
    const away = one.fleet && (one.fleet.held_back || one.fleet.foreign || one.fleet.store_error);
    if (away) all.push(["warn", t("awayIn", one.name, away)]);
    if (["rolling_back", "rolled_back"].includes(one.state)) all.push(["warn", t("rolledBackIn", one.name, one.reason)]);
  }
  // Of each fault in a file the message and the place; the rest is among the events.
  const says = (line, at) => at === 0 || line.startsWith("error: ") || line.includes("-->");
  const short = (reason) => reason.split("\n").filter(says).join(" ");
  const failing = it.ready.failing || [];
  const tone = (reason) => (it.ready.ready && !failing.includes(reason) ? "warn" : "bad");
  const reasons = (it.ready.reasons || []).map((reason) => [tone(reason), short(reason)]);
  return [...reasons, ...all].sort((a, b) => (a[0] === b[0] ? 0 : a[0] === "bad" ? -1 : 1));
}

function frame() {
  const it = state.overview;
  const pill = $("state");
  const fails = it.ready.ready && (it.ready.failing || []).length > 0;
  const alerts = wrong(it);
  const amiss = (it.ready.reasons || []).length > 0 || alerts.some(([tone]) => tone === "bad");
  const doubtful = it.status.state === "running" && amiss;
  const name = fails && it.status.state !== "draining" ? "failing" : it.ready.ready ? (doubtful ? "degraded" : it.status.state) : it.status.state === "draining" ? "draining" : "notReady";
  say(pill, t(name));
  mark(pill, "class", `pill ${name === "running" ? "good" : name === "degraded" ? "warn" : "bad"}`);
  keyed($("alerts"), alerts, ([tone, text]) => tone + text, ([tone, text]) => ({
    root: h("p", { class: `alert ${tone}`, role: tone === "bad" ? "alert" : null }, tone === "bad" ? "✖ " : "▲ ", text), update() {},
  }));
  say($("foot"), [`Sluicegate ${it.status.version}`, t("uptime", duration(it.status.uptime_seconds)),
    t("generation", it.status.generation), t("process", it.status.pid), it.status.config].join(" · "));
}

function link(name, error) {
  const bar = $("link");
  if (name === "token") askToken();
  const text = name === "open" ? "" : name === "token" ? t("tokenNeeded") : `${t("linkLost")} ${error && error.status ? error.message : ""}`;
  if (bar.textContent !== text) say(bar, text);
  bar.hidden = name === "open";
}

document.documentElement.lang = language === "zh" ? "zh-CN" : "en";
say($("skip"), t("skip"));
mark($("nav"), "aria-label", "Sluicegate");
$("nav").append(...Object.keys(views).map((name) => h("a", { href: `#${name}` }, t(name))));
$("tools").append(h("button", { type: "button", class: "quiet", id: "language", lang: language === "zh" ? "en" : "zh-CN", onclick: switchLanguage }, t("language")),
  h("button", { type: "button", class: "quiet", id: "token-button", onclick: askToken }, t("token")));
window.addEventListener("hashchange", () => {
  show();
  $("content").focus({ preventScroll: true });
  scrollTo(0, 0);
});
show();
follow((kind, data) => {
  if (kind === "overview") {
    sample(data);
    frame();
    shown.update();
  } else if (event(data) && shown.event) {
    shown.event(data);
  }
}, link);
