//! Kinds of lines: those that keep clients out are never dropped.
//!
//! A line that nobody knows here may be one: only those of a table are harmless.

use super::{Line, Section};

/// Effect of a line on requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Keeps them from the endpoints.
    Refuse,
    /// Answers them.
    Answer,
    /// Names their backend.
    Send,
    /// Changes them, or concerns something else.
    Other,
}

impl Kind {
    pub(super) fn of(line: &Line) -> Self {
        let is_harmless = |action: &str| HARMLESS_ACTIONS.iter().any(|it| action.starts_with(it));
        match line.words()[..] {
            ["use_backend", ..] => Self::Send,
            ["redirect", ..] | ["http-request", "redirect" | "return", ..] => Self::Answer,
            ["http-request", action, ..] if !is_harmless(action) => Self::Refuse,
            // It keeps answers back.
            [
                "http-response" | "http-after-response",
                "deny" | "reject" | "silent-drop",
                ..,
            ]
            | [
                "tcp-response",
                "content",
                "reject" | "close" | "silent-drop",
                ..,
            ] => Self::Refuse,
            ["tcp-request", "inspect-delay", ..] => Self::Other,
            ["tcp-request", _, action, ..] if !is_harmless(action) => Self::Refuse,
            [first, ..] if !HARMLESS.contains(&first) => Self::Refuse,
            _ => Self::Other,
        }
    }
}

impl Section {
    /// The lines that concern where requests go, in the order in which HAProxy asks them.
    pub(super) fn rules(&self) -> Vec<&Line> {
        let all = self.defaults.iter().chain(&self.lines);
        let mut rules: Vec<&Line> = all.filter(|it| Kind::of(it) != Kind::Other).collect();
        rules.sort_by_key(|line| match line.words()[..] {
            ["tcp-request", "connection", ..] => 0,
            ["tcp-request", ..] => 1,
            ["redirect", ..] => 3,
            ["use_backend", ..] => 4,
            _ => 2,
        });
        rules
    }
}

/// Returns what to do about a line that keeps clients out.
pub(super) fn advice(line: &Line) -> &'static str {
    match line.words()[..] {
        ["http-request", "auth", ..] => {
            "write the users as USER:HASH into a file: auth = { basic = { file = \"users.htpasswd\" } } of the route"
        }
        [
            "http-request",
            "deny" | "tarpit" | "reject" | "silent-drop",
            ..,
        ]
        | ["tcp-request", _, "reject" | "silent-drop", ..] => {
            "a route with the condition and access = { allow = [], methods = [] }, auth, or respond = { status = 403 }"
        }
        ["http-request", "return", ..] | ["http-request", "redirect", ..] | ["redirect", ..] => {
            "a route with the condition and respond or redirect"
        }
        ["use_backend", ..] => {
            "a route with the condition and respond: the backend has no servers, or refuses"
        }
        ["http-request" | "tcp-request", action, ..] if action.starts_with("lua.") => {
            "no scripts run here: let auth = { forward = … } decide, or embed a filter"
        }
        _ => {
            "no equal is known: if it keeps nobody out, remove the line and import again; else see access and auth of a route"
        }
    }
}

impl Section {
    /// Marks conditions on the process that only concern lines which keep nobody out.
    pub(super) fn settle(&mut self) {
        let mut since = None;
        for at in 0..self.lines.len() {
            match &*self.lines[at].words[0] {
                ".if" => since = Some(at),
                ".endif" => {
                    let Some(from) = since.take() else { continue };
                    let is_marked = |it: &Line| it.words[0].starts_with('.');
                    let keeps = |it: &Line| {
                        let is_rule = ["acl", "default_backend", "http-request", "tcp-request"];
                        is_rule.contains(&&*it.words[0])
                            || (!is_marked(it) && Kind::of(it) != Kind::Other)
                    };
                    if self.lines[from..=at].iter().any(keeps) {
                        continue;
                    }
                    for line in &mut self.lines[from..=at] {
                        if is_marked(line) {
                            line.words = vec![CONDITION.to_owned()];
                        }
                    }
                }
                ".notice" | ".warning" | ".diag" | ".alert" if since.is_none() => {
                    self.lines[at].words = vec![CONDITION.to_owned()];
                }
                _ => {}
            }
        }
    }
}

/// The word of a line such as `.if` whose lines keep nobody out.
pub(super) const CONDITION: &str = ".";
/// Returns what to do about a change of requests that has no equal.
pub(super) fn changed(line: &Line) -> &'static str {
    match line.words.get(1).map_or("", |it| &**it) {
        "allow" => {
            "the rules behind it are not asked for these requests: a route with the condition, without what keeps the others out"
        }
        it if it.starts_with("track-sc") || it.starts_with("sc-") => {
            "rate_limit = { key = \"client_ip\", rate = \"10/s\" } of the route counts"
        }
        "capture" => "fields of [access_log]",
        "set-path" | "replace-path" | "set-uri" | "replace-uri" | "set-pathq" | "replace-pathq" => {
            "rewrite = { path_regex = { match = \"…\", to = \"…\" } } of the route"
        }
        it if it.starts_with("set-var") => {
            "there are no variables: write the value where it is used, or a route for each case"
        }
        "cache-use" => "cache = { max_size = \"…\" } of the route",
        _ => "a route with the condition and this change",
    }
}

/// Beginnings of actions of `http-request` and `tcp-request` that keep nobody out.
const HARMLESS_ACTIONS: [&str; 22] = [
    "accept",
    "add-",
    "allow",
    "cache-use",
    "capture",
    "del-",
    "disable-l7-retry",
    "do-resolve",
    "early-hint",
    "expect-",
    "normalize-uri",
    "pause",
    "replace-",
    "sc-",
    "sc0-",
    "sc1-",
    "sc2-",
    "send-spoe-group",
    "set-",
    "track-sc",
    "unset-",
    "wait-for-",
];
/// Words that begin a line which keeps nobody out.
const HARMLESS: [&str; 85] = [
    CONDITION,
    "acl",
    "backlog",
    "balance",
    "bind",
    "bind-process",
    "capture",
    "clitcpka-cnt",
    "clitcpka-idle",
    "clitcpka-intvl",
    "compression",
    "cookie",
    "declare",
    "default-server",
    "default_backend",
    "description",
    "disabled",
    "dispatch",
    "dynamic-cookie-key",
    "email-alert",
    "enabled",
    "errorfile",
    "errorfiles",
    "errorloc",
    "errorloc302",
    "errorloc303",
    "external-check",
    "filter",
    "force-persist",
    "fullconn",
    "grace",
    "guid",
    "hash-balance-factor",
    "hash-preserve-affinity",
    "hash-type",
    "http-after-response",
    "http-check",
    "http-error",
    "http-request",
    "http-response",
    "http-reuse",
    "http-send-name-header",
    "id",
    "ignore-persist",
    "load-server-state-from-file",
    "log",
    "log-format",
    "log-format-sd",
    "log-steps",
    "log-tag",
    "max-keep-alive-queue",
    "max-session-srv-conns",
    "maxconn",
    "mode",
    "monitor",
    "monitor-uri",
    "option",
    "persist",
    "rate-limit",
    "reqadd",
    "reqirep",
    "reqrep",
    "retries",
    "retry-on",
    "rspadd",
    "rspdel",
    "rspidel",
    "rspirep",
    "rsprep",
    "server",
    "server-state-file-name",
    "server-template",
    "source",
    "srvtcpka-cnt",
    "stats",
    "stick",
    "stick-table",
    "tcp-check",
    "tcp-request",
    "tcp-response",
    "timeout",
    "unique-id-format",
    "unique-id-header",
    "use-fcgi-app",
    "use-server",
];
