//! `status`: the running proxy at a glance.

use std::{borrow::Cow, fmt::Write as _, time::Duration};

use serde_json::{Value, json};

use super::{
    args::{Args, AskArgs, OutputFormat},
    client::Client,
    exit_code::{CommandError, Exit},
    print,
};

/// Shows the process, its listeners, and its pools with their endpoints.
pub(super) fn status(args: &Args, ask: &AskArgs) -> Result<Exit, CommandError> {
    let client = Client::find(args, ask)?;
    let status = client.get("/status")?;
    let listeners = client.get("/listeners")?;
    let pools = client.get("/pools")?;
    match ask.output.format {
        OutputFormat::Json => print::json(&json!({
            "status": status,
            "listeners": listeners,
            "pools": pools,
        }))?,
        OutputFormat::Text => print::answer(&text(&status, &listeners, &pools))?,
    }
    Ok(Exit::Fine)
}

fn text(status: &Value, listeners: &Value, pools: &Value) -> String {
    let mut out = head(status);
    out.push_str("\nlisteners\n");
    let rows: Vec<Row<'_>> = rows(listeners)
        .map(|listener| {
            vec![
                cell(listener, "name"),
                cell(listener, "address"),
                count(listener, "connections", "connection").into(),
            ]
        })
        .collect();
    out.push_str(&print::columns(&rows));
    for pool in self::rows(pools) {
        let panic = if pool["panic"] == json!(true) {
            ", too few are healthy: health is ignored"
        } else {
            ""
        };
        let picker = match &pool["picker"] {
            Value::Object(hashing) => hashing.keys().next().cloned().unwrap_or_default(),
            word => word.as_str().unwrap_or_default().to_owned(),
        };
        let _ = writeln!(out, "\npool {} ({picker}{panic})", cell(pool, "name"));
        let endpoints: Vec<Row<'_>> = self::rows(&pool["endpoints"]).map(endpoint).collect();
        out.push_str(&print::columns(&endpoints));
    }
    out
}

type Row<'a> = Vec<Cow<'a, str>>;

fn head(status: &Value) -> String {
    let uptime = status.get("uptime_seconds").and_then(Value::as_u64);
    let uptime = humantime::format_duration(Duration::from_secs(uptime.unwrap_or(0)));
    let mut out = format!(
        "{} for {uptime}: sluicegate {}, process {}, {}\n",
        cell(status, "state"),
        cell(status, "version"),
        cell(status, "pid"),
        count(status, "workers", "worker"),
    );
    let _ = writeln!(
        out,
        "configuration {}, generation {}",
        cell(status, "config"),
        cell(status, "generation")
    );
    let _ = writeln!(
        out,
        "{}, {} served",
        count(status, "connections", "connection"),
        count(status, "requests_total", "request")
    );
    if let Some(why) = status.get("degraded").and_then(Value::as_str) {
        let _ = writeln!(out, "degraded: {why}");
    }
    let last = &status["last_reload"];
    if !last.is_null() {
        let _ = writeln!(
            out,
            "last reload {} at {}",
            cell(last, "result"),
            cell(last, "time")
        );
        if let Some(error) = last.get("error").and_then(Value::as_str) {
            let _ = writeln!(out, "{error}");
        }
    }
    out
}

fn endpoint(endpoint: &Value) -> Row<'_> {
    let mut state = cell(endpoint, "state");
    if let Some(millis) = endpoint.get("ejected_for_ms").and_then(Value::as_u64) {
        let left = Duration::from_secs(millis.div_ceil(1000));
        state = format!("{state} for {}", humantime::format_duration(left)).into();
    }
    vec![
        cell(endpoint, "address"),
        state,
        format!("weight {}", cell(endpoint, "weight")).into(),
        cell(endpoint, "version"),
        count(endpoint, "picks", "pick").into(),
        cell(endpoint, "cause"),
    ]
}

fn rows(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

fn count(value: &Value, key: &str, what: &str) -> String {
    let count = value.get(key).and_then(Value::as_u64).unwrap_or(0);
    print::counted(usize::try_from(count).unwrap_or(usize::MAX), what)
}

/// The value of a member as it is shown; empty where there is none.
fn cell<'a>(value: &'a Value, key: &str) -> Cow<'a, str> {
    match value.get(key) {
        None | Some(Value::Null) => Cow::Borrowed(""),
        Some(Value::String(text)) => Cow::Borrowed(text),
        Some(other) => other.to_string().into(),
    }
}
