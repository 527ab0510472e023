//! An explanation for people, from its JSON form, which the running proxy gives too.

use std::{borrow::Cow, fmt::Write as _};

use serde_json::Value;

use crate::cli::print::columns;

/// Shows an explanation: the winner and what it does, who may serve, who lost and why.
pub(super) fn text(told: &Value) -> String {
    let mut out = String::new();
    let verdicts = told.pointer("/routes/verdicts").and_then(Value::as_array);
    let verdicts = verdicts.map_or(&[][..], Vec::as_slice);
    let (won, lost): (Vec<&Value>, Vec<&Value>) = verdicts
        .iter()
        .partition(|verdict| word(verdict, "outcome") == "wins");
    match told.get("route").and_then(Value::as_str) {
        Some(route) => {
            let _ = writeln!(out, "route \"{route}\" {}", action(&told["action"]));
            for verdict in &won {
                let _ = writeln!(out, "  {}", word(verdict, "reason"));
            }
            let _ = writeln!(
                out,
                "  by listener \"{}\"{}",
                word(told, "listener"),
                by(told)
            );
            policies(&mut out, &told["policies"]);
        }
        None => match told.pointer("/routes/refused").and_then(Value::as_str) {
            Some(refused) => {
                let _ = writeln!(out, "refused with 400: {refused}");
            }
            None => {
                let listener = word(told, "listener");
                let by = by(told);
                let _ = writeln!(out, "no route takes it on listener \"{listener}\"{by}: 404");
            }
        },
    }
    candidates(&mut out, told);
    if !lost.is_empty() {
        out.push_str("\nnot taken\n");
        let row = |verdict: &&Value| -> Vec<Cow<'_, str>> {
            let route = word(verdict, "route").to_owned();
            vec![route.into(), word(verdict, "reason").to_owned().into()]
        };
        out.push_str(&columns(&lost.iter().map(row).collect::<Vec<_>>()));
    }
    out
}

/// Why it is that listener, where the URL does not say so itself.
fn by(told: &Value) -> &'static str {
    match word(told, "listener_by") {
        "port" => ", which has the port and another scheme",
        "scheme" => ", which speaks the scheme; none has the port",
        "first" => ", the first that takes it; --listener names another",
        _ => "",
    }
}

fn action(action: &Value) -> String {
    if let Some(pool) = action.get("pool").and_then(Value::as_str) {
        format!("sends it to pool \"{pool}\"")
    } else if let Some(status) = action.get("redirect") {
        format!("redirects it with {status}")
    } else if let Some(status) = action.get("respond") {
        format!("answers it with {status}")
    } else {
        "takes it".to_owned()
    }
}

fn policies(out: &mut String, policies: &Value) {
    let time = |key: &str| {
        let millis = policies.pointer(&format!("/timeouts/{key}"));
        let millis = std::time::Duration::from_millis(millis.and_then(Value::as_u64).unwrap_or(0));
        humantime::format_duration(millis).to_string()
    };
    let (total, attempt, idle) = (time("total_ms"), time("attempt_ms"), time("idle_ms"));
    let _ = writeln!(
        out,
        "  timeouts: total {total}, attempt {attempt}, idle {idle}"
    );
    let _ = writeln!(out, "  attempts: {} at most", policies["attempts"]);
    let filters = policies.get("filters").and_then(Value::as_array);
    let filters: Vec<&str> = filters
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect();
    if !filters.is_empty() {
        let _ = writeln!(out, "  filters: {}", filters.join(", "));
    }
    if policies.get("grpc_web").and_then(Value::as_bool) == Some(true) {
        let _ = writeln!(out, "  gRPC-Web becomes gRPC");
    }
    if let Some(bytes) = policies.get("body_max").and_then(Value::as_u64) {
        let _ = writeln!(out, "  body: {bytes} bytes at most");
    }
}

fn candidates(out: &mut String, told: &Value) {
    let candidates = told.get("candidates").and_then(Value::as_array);
    let rows: Vec<Vec<Cow<'_, str>>> = candidates
        .into_iter()
        .flatten()
        .map(|candidate| {
            let skipped = candidate.get("skipped").and_then(Value::as_str);
            let version = candidate.get("version").and_then(Value::as_str);
            vec![
                word(candidate, "endpoint").to_owned().into(),
                match candidate.get("health").and_then(Value::as_str) {
                    Some(health) => health.to_owned().into(),
                    None => "health not asked".into(),
                },
                format!("weight {}", candidate["weight"]).into(),
                version.map_or("", |version| version).to_owned().into(),
                skipped.map_or(Cow::Borrowed("may serve"), |why| {
                    format!("skipped: {why}").into()
                }),
            ]
        })
        .collect();
    if !rows.is_empty() {
        out.push_str("\nendpoints\n");
        out.push_str(&columns(&rows));
    }
}

fn word<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}
