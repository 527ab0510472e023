//! `log`: one log for all routes, and those that are not in it.

use super::{Translator, syntax::Line};
use crate::import::document::{Table, quoted};

impl Translator {
    /// Writes a `log` of a site.
    pub(super) fn access_log(&mut self, table: &mut Table, line: &Line) {
        let find = |name: &str| line.block.iter().find(|it| it.name() == name);
        let output = find("output").map(Line::args).unwrap_or_default();
        if output == ["discard"] {
            return table.set(&line.source, "access_log", "false");
        }
        for inner in &line.block {
            match (inner.name(), inner.args().first()) {
                ("format", Some(&("json" | "console"))) | ("level" | "hostnames", _) => {
                    self.log
                        .needless(&inner.source, "each line is an object with all fields");
                }
                ("output", _) => {}
                _ => self.log.untranslated(
                    &inner.source,
                    "fields and redact of [access_log] say what a line has",
                ),
            }
        }
        if self.log.has("path") {
            return self.log.also(&line.source, "path");
        }
        let path = match output[..] {
            ["file", path, ..] => self.path_of(path),
            _ => "-".to_owned(),
        };
        self.log.set(&line.source, "path", quoted(&path));
        self.log.set_plain("format", "\"json\"");
    }
}
