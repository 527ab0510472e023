//! Commands to the running proxy: `reload`, `drain`, `endpoint`.

use std::time::Duration;

use serde_json::Value;

use super::{
    args::{Args, AskArgs, DrainArgs, EndpointArgs, OutputFormat},
    client::{Client, ClientError, segment},
    exit_code::{CommandError, Exit},
    faults, print,
};
use crate::{admin::EndpointAction, config::Diff};

/// Makes the proxy read its configuration; tells what that changed.
pub(super) fn reload(args: &Args, ask: &AskArgs) -> Result<Exit, CommandError> {
    let client = Client::find(args, ask)?;
    let format = ask.output.format;
    let report = match client.post("/reload", JSON, "") {
        Ok(report) => report,
        Err(ClientError::Refused { body, .. }) if body.get("result").is_some() => {
            return refused(args, &body, format);
        }
        Err(error) => return Err(error.into()),
    };
    match format {
        OutputFormat::Json => print::json(&report)?,
        OutputFormat::Text => {
            let generation = &report["generation"];
            let text = match report.get("changes").filter(|changes| !changes.is_null()) {
                None => format!("configuration unchanged: generation {generation}"),
                Some(changes) => {
                    let changes: Diff = client.understand(changes.clone())?;
                    let restart = if changes.needs_restart() {
                        "\nsome changes take effect only after a restart"
                    } else {
                        ""
                    };
                    format!("reloaded: generation {generation}\n{changes}{restart}")
                }
            };
            print::answer(&text)?;
        }
    }
    Ok(Exit::Fine)
}

fn refused(args: &Args, report: &Value, format: OutputFormat) -> Result<Exit, CommandError> {
    let faulty = report.get("faults").is_some_and(Value::is_array);
    if format == OutputFormat::Json {
        print::json(report)?;
    } else {
        // The proxy rendered them under their lines already.
        let error = report.get("error").and_then(Value::as_str);
        match error {
            Some(error) if faulty => print::remark(error)?,
            _ => faults::show(report, args.config(), format)?,
        }
        let generation = &report["generation"];
        print::remark(&format!(
            "\nreload refused: configuration unchanged, generation {generation}"
        ))?;
    }
    Ok(if faulty {
        Exit::InvalidConfiguration
    } else {
        Exit::Failed
    })
}

/// Makes the proxy finish its requests and end.
pub(super) fn drain(args: &Args, asked: &DrainArgs) -> Result<Exit, CommandError> {
    let client = Client::find(args, &asked.ask)?;
    // A supervisor may start the next process at the same address.
    let process = client.get("/status")?.get("pid").cloned();
    let told = client.post("/drain", JSON, "")?;
    let text = asked.ask.output.format == OutputFormat::Text;
    if !asked.wait {
        if text {
            print::answer("draining")?;
        } else {
            print::json(&told)?;
        }
        return Ok(Exit::Fine);
    }
    let mut last = None;
    loop {
        match client.get("/status") {
            Ok(status) if status.get("pid") != process.as_ref() => break,
            Ok(status) => {
                let open = status.get("connections").and_then(Value::as_u64);
                if text && open != last {
                    let open = open.unwrap_or(0);
                    print::remark(&format!("draining, connections open: {open}"))?;
                }
                last = open;
            }
            // An answer that broke off: it ended while it was asked.
            Err(ClientError::Unreachable { .. } | ClientError::Broken { .. }) => break,
            Err(error) => return Err(error.into()),
        }
        pause();
    }
    if text {
        print::answer("drained")?;
    } else {
        print::json(&serde_json::json!({ "state": "drained" }))?;
    }
    Ok(Exit::Fine)
}

/// Takes one endpoint out of the traffic, or back in.
pub(super) fn endpoint(args: &Args, asked: &EndpointArgs) -> Result<Exit, CommandError> {
    let client = Client::find(args, &asked.ask)?;
    let name = &asked.endpoint;
    let action = EndpointAction::from(asked.action);
    let path = format!(
        "/pools/{}/endpoints/{}/{action}",
        segment(&name.pool),
        segment(&name.address)
    );
    let told = client.post(&path, JSON, "")?;
    match asked.ask.output.format {
        OutputFormat::Json => print::json(&told)?,
        OutputFormat::Text => {
            let done = match action {
                EndpointAction::Drain => "drains: it gets no new requests",
                EndpointAction::Enable => "is enabled",
                EndpointAction::Eject => "is ejected until it is enabled",
            };
            print::answer(&format!("{}/{} {done}", name.pool, name.address))?;
        }
    }
    Ok(Exit::Fine)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a command waits on its own thread; no worker runs in this process"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(100));
}

const JSON: &str = "application/json";
