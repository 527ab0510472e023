// Line charts of the last minutes, as SVG: a y axis that begins at 0, a time axis that ends now, and a cursor.

import { h, mark, s, say } from "./dom.js";
import { number, t } from "./text.js";

const STEPS = [1, 1.5, 2, 3, 4, 5, 6, 8, 10];

/** The least round number that is not below `value`. */
function ceiling(value) {
  if (!(value > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  return STEPS.find((step) => step * power >= value * 0.999) * power;
}

function path(values, count, max) {
  let line = "", pen = "M";
  values.forEach((value, at) => {
    if (value === null || value === undefined) { pen = "M"; return; }
    const x = ((at + count - values.length) / (count - 1)) * 1000;
    line += `${pen}${x.toFixed(1)} ${(100 - (value / max) * 100).toFixed(2)}`;
    pen = "L";
  });
  return line;
}

/** A chart of several series: { label, tone }. `update(lists, count)` shows the last `count` seconds of each. */
export function chart(title, unit, series) {
  const lines = series.map((it) => s("path", { class: `line ${it.tone}`, "vector-effect": "non-scaling-stroke" }));
  const cursor = s("line", { class: "cursor", y1: 0, y2: 100, "vector-effect": "non-scaling-stroke", visibility: "hidden" });
  const grid = [0, 50, 100].map((y) => s("line", { class: "grid", x1: 0, x2: 1000, y1: y, y2: y, "vector-effect": "non-scaling-stroke" }));
  const picture = s("svg", { viewBox: "0 0 1000 100", preserveAspectRatio: "none", role: "img" }, grid, lines, cursor);
  const top = h("span"), middle = h("span"), bottom = h("span", {}, "0");
  const values = series.map(() => h("b"));
  const legend = series.map((it, at) => h("span", { class: `key ${it.tone}` }, `${it.label} `, values[at]));
  const from = h("span"), to = h("span");
  const plot = h("div", { class: "plot" }, picture);
  const root = h("figure", { class: "chart" },
    h("figcaption", {}, h("span", { class: "title" }, title, unit ? h("small", {}, ` ${unit}`) : null), h("span", { class: "keys" }, legend)),
    h("div", { class: "frame" }, h("div", { class: "axis", "aria-hidden": "true" }, top, middle, bottom), plot),
    h("div", { class: "time", "aria-hidden": "true" }, from, to));
  let lists = series.map(() => []), count = 2, at = null;

  function read() {
    const shown = at === null ? count - 1 : at;
    const text = lists.map((list) => list[shown - (count - list.length)]);
    values.forEach((value, index) => say(value, text[index] === undefined || text[index] === null ? "–" : number(text[index])));
    const words = series.map((it, index) => `${it.label} ${values[index].textContent}`).join(", ");
    if (at === null) mark(picture, "aria-label", `${title}${unit ? ` (${unit})` : ""}: ${words}`);
    say(to, at === null ? t("now") : t("ago", count - 1 - at));
  }
  plot.addEventListener("pointermove", (event) => {
    const box = plot.getBoundingClientRect();
    at = Math.min(count - 1, Math.max(0, Math.round(((event.clientX - box.left) / box.width) * (count - 1))));
    const x = (at / (count - 1)) * 1000;
    mark(cursor, "x1", x);
    mark(cursor, "x2", x);
    mark(cursor, "visibility", "visible");
    read();
  });
  plot.addEventListener("pointerleave", () => {
    at = null;
    mark(cursor, "visibility", "hidden");
    read();
  });
  return {
    root,
    update(wanted, span) {
      count = span;
      lists = wanted.map((list) => list.slice(-count));
      const max = ceiling(Math.max(...lists.flat().filter((value) => value !== null && value !== undefined), 0));
      say(top, number(max));
      say(middle, number(max / 2));
      say(from, t("ago", count));
      lines.forEach((line, index) => mark(line, "d", path(lists[index], count, max)));
      read();
    },
  };
}

/** A small line without axes, for a cell. */
export function spark(label) {
  const line = s("path", { class: "line tone1", "vector-effect": "non-scaling-stroke" });
  const root = s("svg", { class: "spark", viewBox: "0 0 1000 100", preserveAspectRatio: "none", role: "img", "aria-label": label }, line);
  return {
    root,
    update(values, count) {
      const list = values.slice(-count);
      mark(line, "d", path(list, count, ceiling(Math.max(...list, 0)) * 1.05));
    },
  };
}
