//! `maintenance`: closes routes of the running proxy for a while, and opens them again.

use super::{
    args::{Args, MaintenanceArgs, OutputFormat, SwitchArg},
    client::Client,
    exit_code::{CommandError, Exit},
    operate::JSON,
    print,
};
use crate::admin::model::{MaintenanceReport, MaintenanceRequest};

/// Closes or opens a route, or all of them.
pub(super) fn maintenance(args: &Args, asked: &MaintenanceArgs) -> Result<Exit, CommandError> {
    let wrong = |message: &str| Err(CommandError::WrongUse(message.to_owned()));
    let on = asked.action == SwitchArg::On;
    match (&asked.route, asked.all) {
        (None, false) => return wrong("name the route, or say --all"),
        (Some(_), true) => return wrong("--all does not go with the name of a route"),
        _ => {}
    }
    if !on && (!asked.allow.is_empty() || asked.retry_after.is_some()) {
        return wrong("--allow and --retry-after go with `maintenance on` only");
    }
    let client = Client::find(args, &asked.ask)?;
    let request = MaintenanceRequest {
        on,
        route: asked.route.clone(),
        allow: asked.allow.clone(),
        retry_after: asked.retry_after.clone(),
    };
    let body = serde_json::to_string(&request).unwrap_or_default();
    let told = client.post("/maintenance", JSON, body)?;
    if asked.ask.output.format == OutputFormat::Json {
        print::json(&told)?;
        return Ok(Exit::Fine);
    }
    let report: MaintenanceReport = client.understand(told)?;
    print::answer(&match &report.closed[..] {
        [] => "no route is closed for maintenance".to_owned(),
        closed => format!("closed for maintenance: {}", closed.join(", ")),
    })?;
    if on && !report.lasting {
        print::remark(
            "a restart or an upgrade of the proxy opens it again: set proxy.state_dir to keep it closed",
        )?;
    }
    Ok(Exit::Fine)
}
