// Reads a file of YAML with several documents and writes them as a list in JSON.
const fs = require("fs");
const yaml = require("js-yaml");

const [from, to] = process.argv.slice(2);
const documents = yaml.loadAll(fs.readFileSync(from, "utf8"));
fs.writeFileSync(to, JSON.stringify(documents));
