//! `upgrade`: another process takes over from the running proxy.

use std::path;

use serde::Deserialize as _;
use serde_json::Value;

use super::{
    args::{Args, OutputFormat, UpgradeArgs},
    client::{Client, ClientError},
    exit_code::{CommandError, Exit},
    operate::{JSON, pause, process},
    print,
};
use crate::admin::model::{UpgradeReport, UpgradeRequest};

/// Has the program on disk take over; tells what came of it.
pub(super) fn upgrade(args: &Args, asked: &UpgradeArgs) -> Result<Exit, CommandError> {
    let client = Client::find(args, &asked.ask)?;
    let text = asked.ask.output.format == OutputFormat::Text;
    let old = process(&client)?.pid;
    let told = match client.post("/upgrade", JSON, body(asked)?) {
        Ok(told) => told,
        Err(ClientError::Refused { body, .. }) if UpgradeReport::deserialize(&body).is_ok() => {
            let report: UpgradeReport = client.understand(body.clone())?;
            return failed(&report, &body, text);
        }
        Err(error) => return Err(error.into()),
    };
    let report: UpgradeReport = client.understand(told.clone())?;
    if text {
        let new = report.pid.unwrap_or_default();
        let version = report.version.as_deref().unwrap_or("of unknown version");
        print::remark(&format!(
            "process {new} (sluicegate {version}) serves; process {old} drains"
        ))?;
    }
    if asked.wait {
        follow(&client, text)?;
    }
    match asked.ask.output.format {
        OutputFormat::Json => print::json(&told)?,
        OutputFormat::Text => print::answer("upgraded")?,
    }
    Ok(Exit::Fine)
}

fn body(asked: &UpgradeArgs) -> Result<String, CommandError> {
    let binary = asked.binary.as_deref().map(path::absolute).transpose();
    let binary = binary.map_err(|error| CommandError::WrongUse(format!("--binary: {error}")))?;
    let request = UpgradeRequest {
        binary,
        timeout_ms: u32::try_from(asked.timeout.as_millis()).ok(),
    };
    let body = serde_json::to_string(&request);
    body.map_err(|error| CommandError::WrongUse(format!("--binary: {error}")))
}

/// Tells how the drain of the old process goes on, to its end.
fn follow(client: &Client, text: bool) -> Result<(), CommandError> {
    let mut last = None;
    while let Some(old) = process(client)?.predecessor {
        if text && Some(old.connections) != last {
            let open = old.connections.unwrap_or_default();
            let pid = old.pid;
            print::remark(&format!("process {pid} drains, connections open: {open}"))?;
        }
        last = Some(old.connections);
        pause();
    }
    Ok(())
}

fn failed(report: &UpgradeReport, told: &Value, text: bool) -> Result<Exit, CommandError> {
    if text {
        let error = report.error.as_deref().unwrap_or("for an unknown reason");
        print::remark(&format!(
            "the upgrade failed, and the old process goes on serving: {error}"
        ))?;
        if !report.output.is_empty() {
            let binary = &report.binary;
            print::remark(&format!("\n{binary} wrote:"))?;
        }
        for line in &report.output {
            print::remark(&format!("  {line}"))?;
        }
    } else {
        print::json(told)?;
    }
    Ok(Exit::Failed)
}
