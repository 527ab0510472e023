// Compares access log lines with the fields of the Elastic Common Schema that Elastic publishes.
//
// Usage: ecs.cjs FILE, one JSON object a line. Every key is a field of the schema and has a value of its type, or is below
// `sluicegate`. Prints the names of the fields that it found, and ends with 1 and the faults otherwise.

const { readFileSync } = require("node:fs");
const { isIP } = require("node:net");
const { EcsFlat, EcsVersion } = require("@elastic/ecs");

const LARGEST_LONG = 2n ** 63n - 1n;
const text = (value) => typeof value === "string";
const TYPES = {
  keyword: (value, field) => text(value) && value.length <= (field.ignore_above || Infinity),
  constant_keyword: text,
  wildcard: text,
  match_only_text: text,
  text,
  ip: (value) => text(value) && isIP(value) > 0,
  date: (value) => text(value) && /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z$/.test(value) && !Number.isNaN(Date.parse(value)),
  long: (value) => Number.isInteger(value) && BigInt(value) <= LARGEST_LONG,
  boolean: (value) => typeof value === "boolean",
};

function faultOf(key, value, line) {
  const field = EcsFlat[key];
  if (!field) return "is no field of the schema";
  const isArray = field.normalize.includes("array");
  if (isArray !== Array.isArray(value)) return isArray ? "is no array" : "is an array";
  for (const one of [value].flat()) {
    const fits = TYPES[field.type];
    if (!fits) return `has a type that this does not know: ${field.type}`;
    if (!fits(one, field)) return `is no ${field.type}`;
    const allowed = field.allowed_values;
    if (allowed && !allowed.some((it) => it.name === one)) return `is none of ${allowed.map((it) => it.name)}`;
    if (field.pattern && !new RegExp(`^(?:${field.pattern})$`).test(one)) return `does not fit ${field.pattern}`;
  }
  if (key === "event.category") {
    const expected = EcsFlat[key].allowed_values.filter((it) => value.includes(it.name)).flatMap((it) => it.expected_event_types);
    const type = line["event.type"].find((it) => !expected.includes(it));
    if (type) return `goes with no event.type ${type}`;
  }
  return null;
}

const faults = [];
const found = new Set();
for (const text of readFileSync(process.argv[2], "utf8").trim().split("\n")) {
  const line = JSON.parse(text);
  const keys = Object.keys(line);
  for (const needed of ["@timestamp", "message", "ecs.version"]) if (!keys.includes(needed)) faults.push(`${needed} is missing: ${text}`);
  if (line["ecs.version"] !== EcsVersion) faults.push(`ecs.version is not ${EcsVersion}: ${text}`);
  for (const [key, value] of Object.entries(line)) {
    found.add(key);
    // Elasticsearch takes a name with dots as nested: it cannot be a value and an object at once.
    const inner = keys.find((other) => other.startsWith(`${key}.`));
    if (inner) faults.push(`${key} is a value, and ${inner} is in it`);
    const fault = key.startsWith("sluicegate.") ? null : faultOf(key, value, line);
    if (fault) faults.push(`${key} ${fault}: ${JSON.stringify(value)}`);
  }
}
console.log([...found].sort().join("\n"));
if (faults.length) {
  console.error(faults.join("\n"));
  process.exit(1);
}
