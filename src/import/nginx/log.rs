//! The access log.

use super::{
    Translator,
    level::Level,
    value::{Part, parts},
};
use crate::import::document::{Table, quoted};

impl<'a> Translator<'a> {
    /// Writes the log of all servers.
    pub(super) fn access_log(&mut self, http: &Level<'a>) {
        let Some(line) = http.one("access_log").filter(|it| it.first() != "off") else {
            return;
        };
        let path = match line.first() {
            "/dev/stdout" => "-".to_owned(),
            path => self.path_of(path).to_string_lossy().into_owned(),
        };
        if path.starts_with("syslog:") || path.contains('$') {
            self.log.untranslated(
                &line.source,
                "[access_log] writes to one file or to standard output",
            );
            return;
        }
        let mut log = Table::new("access_log");
        log.set(&line.source, "path", quoted(&path));
        let name = line.args.get(1).map_or("combined", String::as_str);
        match self.formats.get(name) {
            None => log.set_plain("format", "\"common\""),
            Some(format) => {
                http.mark(format);
                let text: String = format
                    .args
                    .iter()
                    .skip(1)
                    .filter(|it| !it.starts_with("escape="))
                    .map(String::as_str)
                    .collect();
                match template(&text) {
                    Ok(template) => log.set(&format.source, "format", template),
                    Err(why) => {
                        log.untranslated(
                            &format.source,
                            format!("{why}; each line is an object with all fields instead"),
                        );
                        log.set_plain("format", "\"json\"");
                    }
                }
            }
        }
        self.log = log;
    }

    /// Writes what a route says of the log.
    pub(super) fn access_log_of(&self, table: &mut Table, level: &Level<'a>) {
        let Some(line) = level.one("access_log") else {
            return;
        };
        if line.first() == "off" && self.log.has("path") {
            table.set(&line.source, "access_log", "false");
        }
    }
}

/// Returns a format with the fields of our log.
fn template(text: &str) -> Result<String, String> {
    let mut written = String::new();
    for part in parts(text) {
        match part {
            Part::Text(text) if text.contains(['{', '}']) => {
                return Err("braces stand for fields here".to_owned());
            }
            Part::Text(text) => written.push_str(text),
            Part::Variable(name) => written.push_str(match name {
                "remote_addr" => "{client}",
                "remote_user" => "{user}",
                "time_local" | "time_iso8601" => "{time}",
                "request" => "{method} {path} {protocol}",
                "request_method" => "{method}",
                "request_uri" | "uri" => "{path}",
                "server_protocol" => "{protocol}",
                "status" => "{status}",
                "body_bytes_sent" | "bytes_sent" => "{bytes_out}",
                "request_length" => "{bytes_in}",
                "http_user_agent" => "{user_agent}",
                "host" | "http_host" | "server_name" => "{host}",
                "request_time" => "{total_ms}",
                "upstream_response_time" | "upstream_header_time" => "{upstream_ms}",
                "upstream_addr" => "{endpoint}",
                "request_id" => "{request_id}",
                other => return Err(format!("the log has no field for ${other} by itself")),
            }),
        }
    }
    Ok(quoted(&written))
}
