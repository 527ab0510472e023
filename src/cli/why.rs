//! `why`: what was decided and done for a recent request.

use std::{
    borrow::Cow,
    fmt::Write as _,
    time::{Duration, UNIX_EPOCH},
};

use http::StatusCode;
use serde_json::Value;

use super::{
    args::{Args, OutputFormat, WhyArgs},
    client::{Client, ClientError, segment},
    exit_code::{CommandError, Exit},
    print,
};

/// Shows the record of one exchange.
pub(super) fn why(args: &Args, asked: &WhyArgs) -> Result<Exit, CommandError> {
    let client = Client::find(args, &asked.ask)?;
    let answer = client.get(&format!("/requests/{}", segment(&asked.request_id)));
    let record = match answer {
        Err(ClientError::Refused { status, .. }) if status == StatusCode::NOT_FOUND => {
            print::remark(&format!("error: {}", unknown(&asked.request_id)))?;
            return Ok(Exit::Failed);
        }
        answer => answer?,
    };
    match asked.ask.output.format {
        OutputFormat::Json => print::json(&record)?,
        OutputFormat::Text => print::answer(&text(&record))?,
    }
    Ok(Exit::Fine)
}

fn unknown(request_id: &str) -> String {
    format!(
        "the proxy keeps no request \"{request_id}\"; it keeps the latest of each worker, \
         and without [access_log] only failures and a sample of the others"
    )
}

fn text(record: &Value) -> String {
    let word = |key: &str| record.get(key).and_then(Value::as_str);
    let mut out = format!(
        "{} {} -> {} in {} ms\n",
        word("method").unwrap_or_default(),
        word("url").unwrap_or_default(),
        record["status"],
        millis(&record["total_ms"]),
    );
    let time = record.get("time_unix_ms").and_then(Value::as_u64);
    let time = time.and_then(|millis| UNIX_EPOCH.checked_add(Duration::from_millis(millis)));
    let time = time.map(|time| humantime::format_rfc3339_millis(time).to_string());
    let rows: Vec<Vec<Cow<'_, str>>> = [
        ("time", time.as_deref()),
        ("client", word("client")),
        ("listener", word("listener")),
        ("route", word("route").or(Some("none"))),
        ("pool", word("pool")),
        ("endpoint", word("endpoint")),
        ("version", word("version")),
        ("reason", word("reason")),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(vec![name.into(), value?.into()]))
    .collect();
    out.push_str(&print::columns(&rows));
    let attempts = record.get("attempts").and_then(Value::as_array);
    let attempts: Vec<Vec<Cow<'_, str>>> = (1..)
        .zip(attempts.into_iter().flatten())
        .map(|(number, attempt): (u32, _)| {
            let word = |key| attempt.get(key).and_then(Value::as_str).unwrap_or_default();
            vec![
                number.to_string().into(),
                word("endpoint").into(),
                word("outcome").into(),
                format!("{} ms", millis(&attempt["ms"])).into(),
                match attempt.get("waited_ms").and_then(Value::as_f64) {
                    Some(waited) if waited > 0.0 => format!("after a wait of {waited} ms").into(),
                    _ => Cow::Borrowed(""),
                },
            ]
        })
        .collect();
    if !attempts.is_empty() {
        let _ = write!(out, "attempts\n{}", print::columns(&attempts));
    }
    if let Some(why) = word("not_retried") {
        let _ = writeln!(out, "not tried again: {}", not_retried(why));
    }
    out
}

/// Why there was no other attempt, from its word in the record.
fn not_retried(word: &str) -> &str {
    match word {
        "response_sent" => "a part of the answer had gone to the client",
        "pushed_back" => "the endpoint asked for no other attempt",
        "not_upstream" => "the endpoint was not to blame",
        "not_listed" => "retry.on does not list this outcome",
        "not_repeatable" => "the request may have had an effect: its method is not idempotent",
        "body_spent" => "the body was longer than retry.body_max and could not be sent again",
        "attempts_used" => "retry.attempts were made",
        "time_over" => "no time was left of timeouts.total",
        "budget_used" => "the pool's retry_budget was used up",
        other => other,
    }
}

fn millis(value: &Value) -> String {
    format!("{:.1}", value.as_f64().unwrap_or(0.0))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_attempt_is_told() {
        let record = json!({
            "method": "GET", "url": "http://a/b", "status": 503, "total_ms": 12.34,
            "time_unix_ms": 1_700_000_000_123_u64, "client": "127.0.0.1:5", "listener": "web",
            "route": "r", "pool": "p", "endpoint": "127.0.0.1:2", "reason": null,
            "attempts": [
                { "endpoint": "127.0.0.1:1", "outcome": "connection_refused", "ms": 0.21 },
                { "endpoint": "127.0.0.1:2", "outcome": "503", "ms": 12.0, "waited_ms": 20.0 },
            ],
            "not_retried": "attempts_used",
        });
        let shown = text(&record);
        let expected = "GET http://a/b -> 503 in 12.3 ms
  time      2023-11-14T22:13:20.123Z
  client    127.0.0.1:5
  listener  web
  route     r
  pool      p
  endpoint  127.0.0.1:2
attempts
  1  127.0.0.1:1  connection_refused  0.2 ms
  2  127.0.0.1:2  503                 12.0 ms  after a wait of 20 ms
not tried again: retry.attempts were made
";
        assert_eq!(shown, expected);
    }
}
