// Elements from values. Values become text nodes and attributes, never markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(element, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  element.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Makes an HTML element. */
export function h(tag, attributes, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Makes an SVG element. */
export function s(tag, attributes, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

/** Sets the text of an element, if it differs. */
export function say(element, text) {
  const wanted = text === null || text === undefined ? "" : String(text);
  if (element.textContent !== wanted) element.textContent = wanted;
}

/** Sets an attribute, if it differs; none removes it. */
export function mark(element, name, value) {
  if (value === null || value === undefined || value === false) element.removeAttribute(name);
  else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, String(value));
}

/** Makes the children of `parent` those of `items`, by key. Elements stay in place, and with them the focus. */
export function keyed(parent, items, key, make) {
  const old = parent.parts || new Map();
  const parts = new Map();
  let place = parent.firstChild;
  for (const item of items) {
    const name = key(item);
    if (parts.has(name)) continue;
    const part = old.get(name) || make(item);
    parts.set(name, part);
    part.update(item);
    if (part.root === place) place = place.nextSibling;
    else parent.insertBefore(part.root, place);
  }
  for (const [name, part] of old) if (parts.get(name) !== part) part.root.remove();
  parent.parts = parts;
}

/** Makes a table whose rows follow a list. A column: { title, number, show(cell, item) }. */
export function table(caption, columns, key) {
  const body = h("tbody", { role: "rowgroup" });
  const heads = columns.map((it) => h("th", { role: "columnheader", scope: "col", class: it.number && "number" }, it.title));
  const root = h("table", { role: "table" },
    h("caption", { class: "unseen" }, caption),
    h("thead", { role: "rowgroup" }, h("tr", { role: "row" }, heads)), body);
  const make = (first) => {
    const cells = columns.map((it) => h("td", { role: "cell", class: it.number ? "number" : it.long && "long", "data-title": it.title }));
    columns.forEach((it, at) => it.begin && it.begin(cells[at], first));
    return {
      root: h("tr", { role: "row" }, cells),
      update(item) { columns.forEach((it, at) => it.show(cells[at], item)); },
    };
  };
  return { root, body, update: (items) => keyed(body, items, key, make) };
}
