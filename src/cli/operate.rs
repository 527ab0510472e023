//! Commands to the running proxy: `reload`, `drain`, `endpoint`.

use std::time::Duration;

use serde::Deserialize as _;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    args::{Args, DrainArgs, EndpointArgs, EndpointName, OutputFormat, ReloadArgs},
    client::{Client, ClientError, segment},
    exit_code::{CommandError, Exit},
    faults, holders, print,
};
use crate::admin::{
    EndpointAction,
    model::{Pool, ReloadReport, Status},
};

/// Makes the proxy read its configuration, and prints the changes.
pub(super) fn reload(args: &Args, asked: &ReloadArgs) -> Result<Exit, CommandError> {
    let client = Client::find(args, &asked.ask)?;
    let format = asked.ask.output.format;
    let path = match asked.force {
        true => "/reload?force=true",
        false => "/reload",
    };
    let told = match client.post(path, JSON, "") {
        Ok(told) => told,
        Err(ClientError::Refused { body, .. }) if is_report(&body) => {
            let report = client.understand(body.clone())?;
            return refused(args, &report, &body, format);
        }
        Err(error) => return Err(error.into()),
    };
    match format {
        OutputFormat::Json => print::json(&told)?,
        OutputFormat::Text => {
            let report: ReloadReport = client.understand(told)?;
            let generation = report.generation;
            let text = match report.changes {
                None => format!("configuration unchanged: generation {generation}"),
                Some(changes) => {
                    let restart = if changes.needs_restart() {
                        "\nsome changes take effect only after a restart"
                    } else {
                        ""
                    };
                    let traffic = report.traffic.map(|it| format!("\n{}", it.headline()));
                    let traffic = traffic.unwrap_or_default();
                    format!("reloaded: generation {generation}\n{changes}{restart}{traffic}")
                }
            };
            print::answer(&text)?;
        }
    }
    Ok(Exit::Fine)
}

/// Returns true if a refusal reports on a reload, and not only why there was none.
fn is_report(body: &Value) -> bool {
    ReloadReport::deserialize(body).is_ok()
}

fn refused(
    args: &Args,
    report: &ReloadReport,
    told: &Value,
    format: OutputFormat,
) -> Result<Exit, CommandError> {
    let error = report.error.as_deref();
    match format {
        OutputFormat::Json => print::json(told)?,
        OutputFormat::Text => {
            match (error, &report.faults) {
                // The proxy rendered them under their lines already.
                (Some(error), Some(_)) => print::remark(error)?,
                (error, faults) => {
                    let faults = faults.as_deref().unwrap_or_default();
                    print::remark(&faults::text(faults, error, args.config()))?;
                }
            }
            if let Some(traffic) = &report.traffic {
                for line in traffic.to_string().lines().skip(1) {
                    print::remark(line)?;
                }
            }
            let generation = report.generation;
            print::remark(&format!(
                "\nreload refused: configuration unchanged, generation {generation}"
            ))?;
        }
    }
    Ok(if report.faults.is_some() {
        Exit::InvalidConfiguration
    } else {
        Exit::Failed
    })
}

/// Makes the proxy finish its requests and end.
pub(super) fn drain(args: &Args, asked: &DrainArgs) -> Result<Exit, CommandError> {
    let client = Client::find(args, &asked.ask)?;
    // A supervisor may start the next process at the same address.
    let process = process(&client)?.pid;
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
        match self::process(&client) {
            Ok(status) if status.pid != process => break,
            Ok(status) => {
                let open = status.connections;
                if text && Some(open) != last {
                    print::remark(&format!("draining, connections open: {open}"))?;
                    holders::tell_all(&client)?;
                }
                last = Some(open);
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

pub(super) fn process(client: &Client) -> Result<Status, ClientError> {
    client.understand(client.read::<Status>()?)
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
    if asked.wait && action != EndpointAction::Drain {
        let error = "--wait goes with `endpoint drain` only".to_owned();
        return Err(CommandError::WrongUse(error));
    }
    let told = client.post(&path, JSON, "")?;
    if let Some(warning) = told.get("warning").and_then(|it| it.as_str()) {
        print::remark(&format!("warning: {warning}"))?;
    }
    let lasts = told.get("lasting").and_then(|it| it.as_bool());
    if action != EndpointAction::Enable && lasts == Some(false) {
        print::remark("a restart of the proxy forgets it: set proxy.state_dir to keep it")?;
    }
    if asked.wait {
        return empties(&client, asked);
    }
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

/// Waits until a draining endpoint has nothing left.
fn empties(client: &Client, asked: &EndpointArgs) -> Result<Exit, CommandError> {
    let EndpointName { pool, address } = &asked.endpoint;
    let text = asked.ask.output.format == OutputFormat::Text;
    let path = format!("/pools/{}", segment(pool));
    let end = Instant::now() + asked.timeout;
    let mut last = None;
    loop {
        let view: Pool = client.understand(client.get(&path)?)?;
        let endpoint = view.endpoints.iter().find(|it| it.address == *address);
        // One that has left the configuration gets nothing more, but cannot be watched.
        let left = match endpoint {
            Some(endpoint) => endpoint.in_flight,
            None => Some(0),
        };
        if left == Some(0) {
            break;
        }
        if text && left.is_some() && left != last {
            let count = usize::try_from(left.unwrap_or_default()).unwrap_or(usize::MAX);
            let left = print::counted(count, "request");
            print::remark(&format!(
                "{pool}/{address} drains, {left} left, tunnels included"
            ))?;
            holders::tell_of_endpoint(client, pool, address)?;
        }
        last = left;
        if Instant::now() >= end {
            let seconds = asked.timeout.as_secs_f64();
            if text {
                print::remark(&format!("{pool}/{address} is not empty after {seconds} s"))?;
            } else {
                print::json(&json!({ "pool": pool, "endpoint": address, "in_flight": left }))?;
            }
            return Ok(Exit::Failed);
        }
        pause();
    }
    if text {
        print::answer(&format!("{pool}/{address} is drained"))?;
    } else {
        print::json(&json!({ "pool": pool, "endpoint": address, "in_flight": 0 }))?;
    }
    Ok(Exit::Fine)
}

#[expect(
    clippy::disallowed_methods,
    reason = "a command waits on its own thread; no worker runs in this process"
)]
pub(super) fn pause() {
    std::thread::sleep(Duration::from_millis(100));
}

pub(super) const JSON: &str = "application/json";
