// The overview: traffic, routes, pools with their endpoints.

import { chart, spark } from "./chart.js";
import { h, keyed, mark, say, table } from "./dom.js";
import { endpointKey, series, span, state } from "./state.js";
import { ms, number, percent, t, word } from "./text.js";

const part = (value, whole) => (whole > 0 ? percent(value / whole) : "–");

function tiles() {
  const made = {};
  const root = h("dl", { class: "tiles" }, ["perSecond", "failed", "median", "worst", "inFlight", "connectionsOpen"].map((name) => {
    made[name] = h("dd");
    return h("div", {}, h("dt", {}, t(name)), made[name]);
  }));
  return {
    root,
    update(it) {
      const all = it.requests;
      say(made.perSecond, number(all.per_second));
      say(made.failed, `${part(all.failed_per_second, all.per_second)}`);
      mark(made.failed, "class", all.failed_per_second > 0 ? "bad" : "");
      say(made.median, ms(all.latency.p50_ms));
      say(made.worst, ms(all.latency.p99_ms));
      const busy = it.pools.flatMap((pool) => pool.endpoints).reduce((sum, one) => sum + (one.in_flight || 0), 0);
      say(made.inFlight, number(busy));
      say(made.connectionsOpen, number(it.status.connections));
    },
  };
}

function charts() {
  const select = h("select", { id: "shown" }, h("option", { value: "all" }, t("allRoutes")));
  const traffic = chart(t("traffic"), t("perSecond"), [{ label: t("requests"), tone: "tone1" }, { label: t("failed"), tone: "tone2" }]);
  const latency = chart(t("latency"), "ms", [{ label: "p50", tone: "tone1" }, { label: "p90", tone: "tone3" }, { label: "p99", tone: "tone2" }]);
  const draw = () => {
    const name = select.value;
    traffic.update([series(`${name} rate`), series(`${name} failed`)], span());
    latency.update(["p50", "p90", "p99"].map((q) => series(`${name} ${q}`)), span());
  };
  select.addEventListener("change", draw);
  const root = h("section", { "aria-label": t("traffic") },
    h("div", { class: "row" }, h("label", { for: "shown" }, t("show")), select), h("div", { class: "charts" }, traffic.root, latency.root));
  return {
    root,
    update(it) {
      const routes = it.routes.map((one) => [`route ${one.name}`, t("routeOf", one.name || t("noRoute"))]);
      const pools = it.attempts.map((one) => [`pool ${one.pool} ${one.version}`,
        one.version ? t("poolVersion", one.pool, one.version) : t("poolOf", one.pool)]);
      const byName = (a, b) => a[1].localeCompare(b[1]);
      keyed(select, [["all", t("allRoutes")], ...routes.sort(byName), ...pools.sort(byName)], ([key]) => key, ([key, label]) => {
        const root = h("option", { value: key }, label);
        return { root, update() {} };
      });
      draw();
    },
  };
}

const byName = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

/** Answers with 4xx: the client's fault, mostly, and at times that of a release. */
const refused = { title: t("refused"), number: true, show: (cell, it) => say(cell, part(it.refused_per_second, it.per_second)) };

function trafficColumns(name, rate, more = []) {
  return [
    { title: t("perSecondShort"), number: true, show: (cell, it) => say(cell, number(it.per_second)) },
    { title: t("failed"), number: true, show(cell, it) {
      // Failures are known of a pool, not of each version.
      const failed = it.failed_per_second ?? it.pool_failed_per_second;
      say(cell, part(failed, it.pool_per_second ?? it.per_second));
      mark(cell, "class", failed > 0 ? "number bad" : "number");
    } },
    ...more,
    ...["p50", "p90", "p99"].map((q) => ({ title: q, number: true, show: (cell, it) => say(cell, ms(it.latency[`${q}_ms`])) })),
    { title: t("trend"), begin(cell, it) {
      cell.line = spark(`${name(it)}: ${t("perSecond")}, ${t("trend")}`);
      cell.append(cell.line.root);
    }, show: (cell, it) => cell.line.update(series(rate(it)), span()) },
  ];
}

function routes() {
  const name = (it) => it.name || t("noRoute");
  const made = table(t("routes"), [
    { title: t("route"), show: (cell, it) => say(cell, name(it)) },
    ...trafficColumns(name, (it) => `route ${it.name} rate`, [refused]),
  ], (it) => it.name);
  return {
    root: h("section", {}, h("h2", {}, t("routes")), made.root),
    // By name: rows that change places cannot be read.
    update: (it) => made.update([...it.routes].sort((a, b) => byName(a.name, b.name))),
  };
}

/** State of an endpoint: a word, and a shape for those who do not see the colour. */
function showState(cell, it) {
  const [tone, sign] = it.eligible && it.state === "healthy" ? ["good", "●"]
    : it.eligible ? ["warn", "◐"] : ["bad", "○"];
  const own = it.state.replaceAll("_", " ");
  let text = (it.condition || own) === own ? word(it.state) : it.condition;
  if (it.ejected_for_ms !== null && it.ejected_for_ms !== undefined) text += ` ${t("for", Math.ceil(it.ejected_for_ms / 1000))}`;
  if (it.starts_for_ms) text += ` · ${t("slowStart", Math.ceil(it.starts_for_ms / 1000))}`;
  say(cell, `${sign} ${text}`);
  mark(cell, "class", tone);
  mark(cell, "title", it.cause);
}

function endpoints(pool, act) {
  const rate = (it) => `${endpointKey(pool, it)} rate`;
  const button = (cell, it) => {
    cell.press = h("button", { type: "button", onclick: () => act(pool.name, cell.item.address, cell.verb) });
    cell.append(cell.press);
    cell.item = it;
  };
  return table(t("poolOf", pool.name), [
    { title: t("endpoint"), show: (cell, it) => say(cell, it.address) },
    { title: t("state"), show: showState },
    { title: t("version"), show: (cell, it) => say(cell, it.version || "–") },
    { title: t("weight"), number: true, show: (cell, it) => say(cell, number(it.weight)) },
    { title: t("inFlight"), number: true, show: (cell, it) => say(cell, it.in_flight === null ? "–" : number(it.in_flight)) },
    { title: t("perSecondShort"), number: true, show: (cell, it) => say(cell, number(series(rate(it)).at(-1) || 0)) },
    { title: t("ejections"), number: true, show: (cell, it) => say(cell, number(it.ejections)) },
    { title: t("cause"), show(cell, it) { say(cell, it.cause || "–"); mark(cell, "class", "cause"); } },
    { title: t("trend"), begin(cell, it) {
      cell.line = spark(`${it.address}: ${t("perSecond")}, ${t("trend")}`);
      cell.append(cell.line.root);
    }, show: (cell, it) => cell.line.update(series(rate(it)), span()) },
    { title: t("action"), begin: button, show(cell, it) {
      const out = ["draining", "ejected", "ejected_by_operator"].includes(it.state);
      cell.item = it;
      cell.verb = out ? "enable" : "drain";
      say(cell.press, t(cell.verb));
      mark(cell.press, "aria-label", t(`${cell.verb}Of`, it.address));
    } },
  ], (it) => it.address);
}

function sourceText(it) {
  const text = [t("source", it.from, it.endpoints)];
  if (it.error) text.push(t("sourceFails", it.error_since, it.error));
  if (it.trouble) text.push(t("sourceTrouble", it.trouble_since, it.trouble));
  if (it.held) text.push(t("sourceHeld", it.held, it.held_until));
  if (it.absent) text.push(t("sourceAbsent", it.absent));
  if (it.skipped) text.push(t("sourceSkipped", it.skipped, it.skipped_entries[0] || ""));
  return text.join(" · ");
}

function poolCard(first, act) {
  const note = h("p", { class: "note" });
  const versions = table(t("poolOf", first.name), [
    { title: t("version"), show: (cell, it) => say(cell, it.version || "–") },
    ...trafficColumns((it) => `${it.pool} ${it.version}`, (it) => `pool ${it.pool} ${it.version} rate`),
  ], (it) => it.version);
  const rows = endpoints(first, act);
  return {
    root: h("section", { class: "card" }, h("h3", {}, first.name), note, versions.root, rows.root),
    update(pool) {
      const picker = typeof pool.picker === "string" ? pool.picker : Object.keys(pool.picker || {})[0] || "";
      const text = [picker.replaceAll("_", " ")];
      if (pool.panic) text.push(t("panic"));
      if (pool.breaker) text.push(`${t("breaker")} ${word(pool.breaker.state)}`);
      if (pool.discovery) text.push(sourceText(pool.discovery));
      say(note, text.filter(Boolean).join(" · "));
      const attempts = state.overview.attempts.filter((it) => it.pool === pool.name);
      versions.update(attempts.sort((a, b) => byName(a.version, b.version)));
      rows.update(pool.endpoints);
    },
  };
}

/** The view. `act(pool, address, verb)` changes an endpoint. */
export function overview(act) {
  const parts = [tiles(), charts(), routes()];
  const cards = h("div");
  const more = h("p", { class: "note" });
  const root = h("div", {}, parts.map((it) => it.root), h("h2", {}, t("pools")), cards, more);
  return {
    root,
    update() {
      const it = state.overview;
      if (!it) return;
      for (const one of parts) one.update(it);
      keyed(cards, it.pools, (pool) => pool.name, (pool) => poolCard(pool, act));
      say(more, it.left_out ? t("leftOut", number(it.left_out)) : "");
    },
  };
}
