//! `diff`: the changes that a reload with another file would make.

use std::{path::Path, sync::Arc};

use super::{
    args::{Args, DiffArgs, Network, OutputFormat},
    check,
    client::Client,
    exit_code::{CommandError, Exit},
    faults, print,
};
use crate::{
    admin::model::{Compared, Difference},
    config::{self, Diff, Loaded, PastTime, Rules, Secrets, SharedPart},
    file,
};

/// Reads a new text of a configuration in two parts, with the other part as it is.
fn beside(new: &Path, file: &Arc<str>, part: &SharedPart) -> Result<Loaded, CommandError> {
    let text = file::read_to_string(new, file::WATCHED_BYTES_MAX);
    let text = text.map_err(|error| CommandError::unreadable(new, &error))?;
    let rules = Rules {
        past_time: PastTime::Served,
        secrets: Secrets::Excused,
        ..Rules::default()
    };
    let loaded = config::parse_draft(text, (Arc::clone(file), part.clone()), new, &rules);
    loaded.map_err(CommandError::Faults)
}

/// Compares with the file of `--config`, or else with the running proxy.
pub(super) fn diff(args: &Args, asked: &DiffArgs) -> Result<Exit, CommandError> {
    let format = asked.ask.output.format;
    let (difference, other) = match &args.config {
        Some(old) if !asked.live && !asked.against_live && asked.ask.admin.is_none() => {
            let from = check::load(old, PastTime::Served, Secrets::Excused, Network::Asked)
                .map_err(CommandError::Faults)?;
            let to = match &from.shared {
                Some(part) => beside(&asked.file, &from.text, part)?,
                None => check::load(
                    &asked.file,
                    PastTime::Served,
                    Secrets::Excused,
                    Network::Asked,
                )
                .map_err(CommandError::Faults)?,
            };
            let difference = Diff::between(&from.config, &to.config);
            let difference = Difference {
                changes: difference,
                traffic: None,
            };
            (difference, old.display().to_string())
        }
        _ => {
            let client = Client::find(args, &asked.ask)?;
            let text = std::fs::read(&asked.file);
            let text = text.map_err(|error| CommandError::unreadable(&asked.file, &error))?;
            let path = match asked.against_live {
                true => "/diff?against_live=true",
                false => "/diff",
            };
            let told = client.post(path, "application/toml", text)?;
            match client.understand(told.clone())? {
                Compared::Differs(difference) => {
                    let place = format!("the proxy at {}", client.address());
                    (difference, place)
                }
                Compared::Faulty(faulty) => {
                    match format {
                        OutputFormat::Json => print::json(&told)?,
                        OutputFormat::Text => {
                            let error = faulty.error.as_deref();
                            print::remark(&faults::text(&faulty.faults, error, &asked.file))?;
                        }
                    }
                    return Ok(Exit::InvalidConfiguration);
                }
            }
        }
    };
    match format {
        OutputFormat::Json => print::json(&difference)?,
        OutputFormat::Text => {
            let file = asked.file.display();
            let changes = &difference.changes;
            print::answer(&format!("from {other} to {file}:\n{changes}"))?;
            if let Some(traffic) = &difference.traffic {
                print::answer(&traffic.to_string())?;
            }
        }
    }
    Ok(if asked.exit_code && !difference.changes.is_empty() {
        Exit::Failed
    } else {
        Exit::Fine
    })
}
