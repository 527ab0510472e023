//! `why`: the decisions on a recent request.

use std::{
    borrow::Cow,
    fmt::Write as _,
    time::{Duration, UNIX_EPOCH},
};

use http::StatusCode;

use super::{
    args::{Args, OutputFormat, WhyArgs},
    client::{Client, ClientError, segment},
    exit_code::{CommandError, Exit},
    print,
};
use crate::admin::model::RecentExchange;

/// Shows the record of one exchange.
pub(super) fn why(args: &Args, asked: &WhyArgs) -> Result<Exit, CommandError> {
    let client = Client::find(args, &asked.ask)?;
    let answer = client.get(&format!("/requests/{}", segment(&asked.request_id)));
    let record = match answer {
        Err(ClientError::Refused { status, .. }) if status == StatusCode::NOT_FOUND => {
            return Err(CommandError::Unknown(unknown(&asked.request_id)));
        }
        answer => answer?,
    };
    match asked.ask.output.format {
        OutputFormat::Json => print::json(&record)?,
        OutputFormat::Text => print::answer(&text(&client.understand(record)?))?,
    }
    Ok(Exit::Fine)
}

fn unknown(request_id: &str) -> String {
    format!(
        "the proxy keeps no request \"{request_id}\"; it keeps the latest of each worker, \
         and without [access_log] only failures and a sample of the others"
    )
}

fn text(record: &RecentExchange) -> String {
    let mut out = format!(
        "{} {} -> {} in {:.1} ms\n",
        record.method, record.url, record.status, record.total_ms,
    );
    let time = UNIX_EPOCH.checked_add(Duration::from_millis(record.time_unix_ms));
    let time = time.map(|time| humantime::format_rfc3339_millis(time).to_string());
    let rows: Vec<Vec<Cow<'_, str>>> = [
        ("time", time.as_deref()),
        ("client", Some(&*record.client)),
        // A proxy of an older version says nothing of it.
        (
            "protocol",
            Some(&*record.protocol).filter(|it| !it.is_empty()),
        ),
        ("user", record.user.as_deref()),
        ("listener", Some(&*record.listener)),
        ("route", record.route.as_deref().or(Some("none"))),
        ("pool", record.pool.as_deref()),
        ("endpoint", record.endpoint.as_deref()),
        ("version", record.version.as_deref()),
        ("version asked", record.version_asked.as_deref()),
        ("cache", record.cache.as_deref()),
        ("reason", record.reason.as_deref()),
        ("detail", record.reason_detail.as_deref()),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some(vec![name.into(), value?.into()]))
    .collect();
    out.push_str(&print::columns(&rows));
    let attempts: Vec<Vec<Cow<'_, str>>> = (1..)
        .zip(&record.attempts)
        .map(|(number, attempt): (u32, _)| {
            let waited = attempt.waited_ms;
            vec![
                number.to_string().into(),
                (&*attempt.endpoint).into(),
                (&*attempt.outcome).into(),
                format!("{:.1} ms", attempt.ms).into(),
                if attempt.hedge {
                    Cow::Borrowed("hedge: the attempt before it was slow")
                } else if attempt.subrequest {
                    Cow::Borrowed("of a filter's subrequest")
                } else if waited > 0.0 {
                    format!("after a wait of {waited} ms").into()
                } else {
                    Cow::Borrowed("")
                },
            ]
        })
        .collect();
    if !attempts.is_empty() {
        let _ = write!(out, "attempts\n{}", print::columns(&attempts));
    }
    if let Some(why) = &record.not_retried {
        let _ = writeln!(out, "not tried again: {}", not_retried(why));
    }
    out
}

/// Explains why there was no other attempt, from its word in the record.
fn not_retried(word: &str) -> &str {
    match word {
        "response_sent" => "a part of the answer had gone to the client",
        "pushed_back" => "the endpoint asked for no other attempt",
        "not_upstream" => "the endpoint was not to blame",
        "not_listed" => "retry.on does not list this outcome",
        "not_repeatable" => "the request may have had an effect: its method is not idempotent",
        "body_spent" => "the body was longer than retry.body_max and could not be sent again",
        "caller_retries" => "the proxy in front of this one repeats the request already",
        "attempts_used" => "retry.attempts were made",
        "time_over" => "no time was left of timeouts.total",
        "budget_used" => "the pool's retry_budget was used up",
        "breaker_open" => "the breaker of the pool is open",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::recent::RecentAttempt;

    #[test]
    fn every_attempt_is_told() {
        let some = |text: &str| Some(text.to_owned());
        let attempt = |endpoint: &str, outcome: &str, ms, waited_ms| RecentAttempt {
            endpoint: endpoint.to_owned(),
            outcome: outcome.to_owned(),
            ms,
            waited_ms,
            hedge: false,
            subrequest: false,
        };
        let record = RecentExchange {
            method: "GET".to_owned(),
            url: "http://a/b".to_owned(),
            status: 503,
            total_ms: 12.34,
            time_unix_ms: 1_700_000_000_123,
            client: "127.0.0.1:5".to_owned(),
            protocol: "HTTP/2.0".to_owned(),
            listener: "web".to_owned(),
            route: some("r"),
            pool: some("p"),
            endpoint: some("127.0.0.1:2"),
            attempts: vec![
                attempt("127.0.0.1:1", "connection_refused", 0.21, 0.0),
                attempt("127.0.0.1:2", "503", 12.0, 20.0),
            ],
            not_retried: some("attempts_used"),
            ..RecentExchange::default()
        };
        let shown = text(&record);
        let expected = "GET http://a/b -> 503 in 12.3 ms
  time      2023-11-14T22:13:20.123Z
  client    127.0.0.1:5
  protocol  HTTP/2.0
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
