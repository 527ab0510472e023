//! Lines that keep clients out: none of them is dropped.
//!
//! A directive that nobody knows here may be one: only those of a table are harmless.

use super::{
    matcher::{Conditions, Named, template},
    route::{is_answer, split},
    syntax::Line,
};
use crate::import::{
    document::{Table, quoted},
    gate::{Gate, Kept},
};

/// Returns the gate that an answer with a matcher is for the endpoints of its block.
pub(super) fn gates(line: &Line, named: impl Fn(Option<&str>) -> Named) -> Option<Gate> {
    if !is_gate(line) {
        return None;
    }
    let (matcher, args) = split(line);
    let mut answer_of = Table::default();
    let is_told = answer(&mut answer_of, line, &args);
    let is_permanent = ["301", "308", "permanent"]
        .iter()
        .any(|it| args.last() == Some(it));
    let kept = kept(&named(matcher.as_deref()));
    let has_condition = matches!(&kept, Kept::These(sets) if sets.iter().any(Vec::is_empty));
    if has_condition || (line.name() == "redir" && is_permanent && kept == Kept::Unknown) {
        // All requests have this answer, or a page has moved.
        return None;
    }
    if !is_told {
        answer_of = Table::default();
        answer_of.untranslated(&line.source, MATCHER);
        answer_of.set_plain("respond.status", "403");
    }
    Some(Gate {
        line: line.source.clone(),
        kept,
        answer: answer_of,
        advice: MATCHER,
    })
}

/// Returns the gate that a handler with a named matcher is for those beside it: it refuses, or what
/// it has in it keeps clients out and its matcher has no equal.
pub(super) fn of_handler(line: &Line, named: impl Fn(Option<&str>) -> Named) -> Option<Gate> {
    if !is_handler(line) {
        return None;
    }
    let matcher = split(line).0.filter(|it| it.starts_with('@'))?;
    let named = named(Some(&matcher));
    let mut answer_of = Table::default();
    let mut refuses = |it: &Line| {
        let (matcher, args) = split(it);
        is_gate(it) && matcher.is_none() && answer(&mut answer_of, it, &args)
    };
    let kept = match &line.block[..] {
        [only] if refuses(only) => kept(&named),
        lines if named.is_wider && lines.iter().any(protects) => Kept::Unknown,
        _ => return None,
    };
    Some(Gate {
        line: line.source.clone(),
        kept,
        answer: answer_of,
        advice: MATCHER,
    })
}

/// Returns the requests that a matcher means.
fn kept(named: &Named) -> Kept {
    let all = |sets: &[Conditions]| sets.iter().map(Conditions::all).collect();
    match &named.not {
        Some(not) => Kept::Others(all(not)),
        None if named.is_wider => Kept::Unknown,
        None => Kept::These(all(&named.sets)),
    }
}

/// Returns true for a line that keeps clients out, or has such a line in it.
fn protects(line: &Line) -> bool {
    let is_known = is_answer(line) || line.name().starts_with('@');
    let is_other = !is_known && !is_harmless(line.name());
    is_gate(line) || is_other || (is_handler(line) && line.block.iter().any(protects))
}

fn is_handler(line: &Line) -> bool {
    matches!(line.name(), "handle" | "handle_path" | "route")
}

/// Returns true for an answer that keeps requests from endpoints.
pub(super) fn is_gate(line: &Line) -> bool {
    matches!(line.name(), "respond" | "abort" | "error" | "redir")
}

/// Returns the line that answers all requests before this one does.
fn answers_before<'a>(line: &Line, lines: &'a [Line], is_ordered: bool) -> Option<&'a Line> {
    let at = lines.iter().position(|it| std::ptr::eq(it, line));
    let before = match at {
        Some(at) if is_ordered => &lines[..at],
        _ => lines,
    };
    before
        .iter()
        .find(|it| is_gate(it) && split(it).0.is_none())
}

/// Returns the reason why a line never answers.
pub(super) fn never_reached(
    line: &Line,
    lines: &[Line],
    takes_all: Option<&Line>,
    is_ordered: bool,
) -> Option<String> {
    let answers = ["respond", "reverse_proxy", "abort", "error"];
    if let Some(first) = takes_all.filter(|_| answers.contains(&line.name())) {
        let first = first.name();
        return Some(format!(
            "it is never reached: {first} takes all requests before"
        ));
    }
    let before =
        answers_before(line, lines, is_ordered).filter(|_| line.name() == "reverse_proxy")?;
    let before = before.name();
    Some(format!(
        "it is never reached: {before} answers all requests before"
    ))
}

/// Writes an answer; false if there is no equal.
pub(super) fn answer(table: &mut Table, line: &Line, args: &[&str]) -> bool {
    match line.name() {
        "redir" => redirect(table, line, args),
        "abort" => {
            table.set(&line.source, "respond.status", "403");
            table.note("the connection is not closed, but answered");
            true
        }
        "error" => {
            let status = args.iter().rev().find(|it| it.parse::<u16>().is_ok());
            table.set(&line.source, "respond.status", *status.unwrap_or(&"500"));
            true
        }
        _ => respond(table, line, args),
    }
}

/// Returns true for a directive without an equal that keeps nobody out.
pub(super) fn is_harmless(name: &str) -> bool {
    HARMLESS.contains(&name)
}

fn redirect(table: &mut Table, line: &Line, args: &[&str]) -> bool {
    let (to, code) = match args[..] {
        [to] => (to, "302"),
        [to, code] => (to, code),
        _ => ("", ""),
    };
    let code = match code {
        "permanent" => "301",
        "temporary" => "302",
        code => code,
    };
    let is_known = ["301", "302", "303", "307", "308"].contains(&code);
    match template(to) {
        Ok(to) if is_known => {
            table.set(&line.source, "redirect.to", to);
            table.set_plain("redirect.status", code);
            true
        }
        Ok(_) => {
            table.untranslated(&line.source, "a redirect has 301, 302, 303, 307 or 308");
            false
        }
        Err(why) => {
            table.untranslated(&line.source, why);
            false
        }
    }
}

fn respond(table: &mut Table, line: &Line, args: &[&str]) -> bool {
    let is_status = |it: &str| it.len() == 3 && it.bytes().all(|it| it.is_ascii_digit());
    let (body, status) = match args[..] {
        [one] if is_status(one) => ("", one),
        [body] => (body, "200"),
        [body, status] => (body, status),
        _ => ("", "200"),
    };
    if template(body) != Ok(quoted(body)) {
        table.untranslated(&line.source, "the body of respond has no placeholders");
        return false;
    }
    table.set(&line.source, "respond.status", status);
    if !body.is_empty() {
        table.set_plain("respond.body", quoted(body));
    }
    true
}

const MATCHER: &str = "the matcher has a condition that routes do not have: a route with the condition and respond = { status = 403 }, or access = { allow = [], methods = [] }";
pub(super) const UNKNOWN: &str = "no equal is known: if it keeps nobody out, remove the line and import again; else see access and auth of a route";

/// Directives that keep nobody out.
const HARMLESS: [&str; 28] = [
    "acme_server",
    "cache",
    "copy_response",
    "copy_response_headers",
    "encode",
    "file_server",
    "fs",
    "handle_errors",
    "header",
    "intercept",
    "invoke",
    "log_name",
    "map",
    "method",
    "metrics",
    "php_fastcgi",
    "php_server",
    "push",
    "redir",
    "request_body",
    "request_header",
    "root",
    "templates",
    "tls",
    "tracing",
    "try_files",
    "uri",
    "vars",
];
