//! `global`: settings of the process, and what it says of all listeners and servers.

use super::{Section, Translator, duration};

impl Translator<'_> {
    /// Writes the settings of the process.
    pub(super) fn global(&mut self, section: &Section) {
        self.head.needless(
            &section.source,
            "[proxy], [admin] and [log] have their own keys",
        );
        for line in &section.lines {
            let words = line.words();
            match words[..] {
                ["maxconn", count] if count.bytes().all(|it| it.is_ascii_digit()) => {
                    let count = count.trim_start_matches('0');
                    self.proxy.set(&line.source, "limits.connections", count);
                }
                ["nbthread", count] => self.proxy.set(&line.source, "workers", count),
                ["hard-stop-after", time] => {
                    if let Some(time) = duration(time) {
                        self.proxy.set(&line.source, "drain.timeout", time);
                    }
                }
                // Read with the listeners and the pools.
                ["ssl-default-bind-options" | "ssl-server-verify", ..] => {
                    self.head.mention(&line.source);
                }
                ["lua-load" | "lua-load-per-thread" | "lua-prepend-path", ..] => self
                    .head
                    .untranslated(&line.source, "no scripts run here: embed a filter"),
                ["stats", "socket", ..] => self.head.untranslated(
                    &line.source,
                    "[admin] address = \"unix:admin.sock\" has the API, and sluicegate asks it",
                ),
                ["ca-base" | "crt-base" | "default-path", ..] => self.head.untranslated(
                    &line.source,
                    "write the whole paths: relative ones are taken from the folder of this file",
                ),
                [
                    "ssl-default-bind-ciphers"
                    | "ssl-default-bind-ciphersuites"
                    | "ssl-default-bind-curves",
                    ..,
                ]
                | [
                    "ssl-default-server-ciphers"
                    | "ssl-default-server-ciphersuites"
                    | "ssl-default-server-options",
                    ..,
                ]
                | ["ssl-dh-param-file", ..] => self.head.needless(
                    &line.source,
                    "TLS 1.2 and 1.3 are spoken, with safe ciphers",
                ),
                ["log", ..] => self.head.needless(
                    &line.source,
                    "[log] and [access_log] write to standard error and to files",
                ),
                [first, ..] if NEEDLESS.iter().any(|it| first.starts_with(it)) => {
                    self.head.needless(
                        &line.source,
                        "a service manager starts and stops the process",
                    );
                }
                _ => self.head.untranslated(
                    &line.source,
                    "no equal is known: see [proxy] in docs/configuration",
                ),
            }
        }
    }

    /// Returns true if the servers of all backends are believed without a certificate that is known.
    pub(super) fn trusts_all_servers(&self) -> bool {
        self.global_line("ssl-server-verify")
            .is_some_and(|words| words.get(1) == Some(&"none"))
    }

    /// Returns the oldest version of TLS that listeners speak unless they say another.
    pub(super) fn minimum_version(&self) -> Option<&'static str> {
        let words = self.global_line("ssl-default-bind-options")?;
        let has = |one: &str| words.contains(&one);
        let is_newest = words.windows(2).any(|it| it == ["ssl-min-ver", "TLSv1.3"]);
        (is_newest || has("no-tlsv12")).then_some("\"1.3\"")
    }

    fn global_line(&self, name: &str) -> Option<Vec<&str>> {
        let mut sections = self.sections.iter().filter(|it| it.kind == "global");
        sections.find_map(|it| Some(it.find(&[name])?.words()))
    }
}

/// Beginnings of lines about the process itself.
const NEEDLESS: [&str; 24] = [
    "busy-polling",
    "chroot",
    "cpu-map",
    "daemon",
    "description",
    "expose-",
    "gid",
    "group",
    "insecure-",
    "localpeer",
    "master-worker",
    "max",
    "mworker-",
    "nbproc",
    "no",
    "node",
    "pidfile",
    "server-state-",
    "spread-checks",
    "stats",
    "tune.",
    "uid",
    "user",
    "zero-warning",
];
