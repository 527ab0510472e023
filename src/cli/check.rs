//! `check`: reports all faults of a file, then runs its tests.

use std::path::Path;

use serde_json::json;

use super::{
    args::{Args, AskArgs, CheckArgs, Network, OutputFormat},
    client::Client,
    exit_code::{CommandError, Exit},
    print,
};
use crate::{
    admin::model,
    config::{self, Config, Fault, Faults, Loaded, PastTime, Rules, Secrets, Severity},
    server::{self, Store},
    state::{BuildError, Lists, Registered, Snapshot, heads::Replayed},
};

/// Result of a check.
struct Checked {
    /// Faults and warnings, in the order of the file.
    faults: Faults,
    /// The error that has no place in the file.
    error: Option<String>,
    /// Summary of the file, if it is valid.
    summary: Option<String>,
}

/// Checks the file as a start or a reload would.
pub(super) fn check(args: &Args, asked: &CheckArgs) -> Result<Exit, CommandError> {
    let file = asked.file.as_deref().unwrap_or_else(|| args.config());
    let format = asked.ask.output.format;
    let checked = look_at(file, asked.secrets(), asked.network());
    let good = checked.summary.is_some();
    let traffic = match good && asked.against_live {
        true => Some(replay(args, &asked.ask, file)?),
        false => None,
    };
    match format {
        OutputFormat::Json => {
            let mut told = json!({
                "file": file,
                "ok": good,
                "faults": checked.faults,
                "error": checked.error,
            });
            if let Some(traffic) = &traffic {
                told["traffic"] = json!(traffic);
            }
            print::json(&told)?;
        }
        OutputFormat::Text => {
            if !checked.faults.is_empty() {
                print::faults(&checked.faults)?;
            }
            if let Some(error) = &checked.error {
                print::remark(&format!("error: {}: {error}", file.display()))?;
            }
            match &checked.summary {
                Some(summary) => print::answer(&format!("{}: {summary}", file.display()))?,
                None => print::remark(&count(file, &checked))?,
            }
            if let Some(traffic) = &traffic {
                print::answer(&traffic.to_string())?;
            }
        }
    }
    Ok(match (good, traffic) {
        (false, _) => Exit::InvalidConfiguration,
        (true, Some(traffic)) if traffic.is_refused() => Exit::Failed,
        (true, _) => Exit::Fine,
    })
}

/// Has the running proxy route its recent requests by a file. What the file includes, the proxy
/// reads.
fn replay(args: &Args, ask: &AskArgs, file: &Path) -> Result<Replayed, CommandError> {
    let client = Client::find(args, ask)?;
    let text = std::fs::read(file).map_err(|error| CommandError::unreadable(file, &error))?;
    let told = client.post("/check?against_live=true", "application/toml", text)?;
    let checked: model::Checked = client.understand(told)?;
    checked.traffic.ok_or_else(|| {
        let faults = checked
            .faults
            .iter()
            .filter(|it| it.severity == Severity::Error);
        let first = faults.map(|fault| fault.message.clone()).next();
        let why = checked.error.or(first);
        let why = why.unwrap_or_else(|| "it is too old for --against-live".to_owned());
        CommandError::Unknown(format!(
            "the proxy at {} cannot judge it: {why}",
            client.address()
        ))
    })
}

/// Reads and compiles a file for a command that needs all of it but its secrets; warnings are left
/// to `check`.
pub(super) fn compile(file: &Path) -> Result<Snapshot, CommandError> {
    let loaded = load(file, PastTime::Served, Secrets::Excused, Network::Asked)
        .map_err(CommandError::Faults)?;
    // A failing test refuses a reload, but the question can be answered, and the answer
    // is what helps to mend the test.
    let untested = Loaded {
        config: Config {
            tests: std::collections::BTreeMap::new(),
            ..loaded.config
        },
        ..loaded
    };
    let compiled = server::compile(untested, &Registered::default(), Lists::Read);
    let (snapshot, _) = compiled.map_err(|error| CommandError::Configuration {
        file: file.to_owned(),
        reason: error.to_string(),
    })?;
    Ok(snapshot)
}

/// Reads and checks a file, with its shared part if that can be reached.
pub(super) fn load(
    file: &Path,
    past_time: PastTime<'_>,
    secrets: Secrets,
    network: Network,
) -> Result<Loaded, Faults> {
    let rules = Rules {
        past_time,
        secrets,
        ..Rules::default()
    };
    let loaded = config::load(file, &rules)?;
    let Some(store) = Store::of(&loaded.config).filter(|_| network == Network::Asked) else {
        return Ok(loaded);
    };
    match store.fetch_blocking() {
        Ok(part) => config::parse_with(loaded.text, Some(part), file, &rules),
        Err(why) => {
            // If nobody hears it, the summary tells of no listener.
            let _ = print::remark(&format!(
                "warning: the shared configuration is not checked: {why}"
            ));
            Ok(loaded)
        }
    }
}

fn look_at(file: &Path, secrets: Secrets, network: Network) -> Checked {
    let refused = |faults| Checked {
        faults,
        error: None,
        summary: None,
    };
    let loaded = match load(file, PastTime::Refused, secrets, network) {
        Ok(loaded) => loaded,
        Err(faults) => return refused(faults),
    };
    let (config, warnings) = (loaded.config.clone(), loaded.warnings.clone());
    match server::compile(loaded, &Registered::default(), Lists::Read) {
        Ok((snapshot, _)) => {
            if network == Network::Asked {
                server::ask_sources(&snapshot);
            }
            Checked {
                faults: with_sources(&config, &snapshot, &warnings),
                error: None,
                summary: Some(summary(&config, &snapshot)),
            }
        }
        Err(BuildError::Tests(failed)) => {
            let mut list = warnings.list().to_vec();
            list.extend(failed.iter().filter_map(|failure| {
                let mut tests = config.tests.iter();
                let (_, test) = tests.find(|(name, _)| ***name == *failure.test)?;
                let span = test.spans.of("expect");
                let message = format!("the test \"{}\" fails", failure.test);
                Some(Fault::error(span, message, failure.message.clone()))
            }));
            refused(warnings.with_list(list))
        }
        Err(error) => Checked {
            error: Some(error.to_string()),
            ..refused(warnings)
        },
    }
}

/// Says why a text is no configuration that `check` takes; none if it is one.
pub(super) fn refusal(text: &str, path: &Path) -> Option<String> {
    match config::parse(text, path, &Rules::default()) {
        Err(faults) => Some(faults.render(false)),
        Ok(loaded) => match server::compile(loaded, &Registered::default(), Lists::Read) {
            Err(error) => Some(format!("error: {error}")),
            Ok(_) => None,
        },
    }
}

/// Adds a warning for each list of endpoints that cannot be used: a proxy that starts now would do
/// without it, and use it once it is valid.
fn with_sources(config: &Config, snapshot: &Snapshot, warnings: &Faults) -> Faults {
    let mut list = warnings.list().to_vec();
    for pool in &snapshot.pools {
        let discovery = pool.discovery.as_ref();
        let (Some(discovery), Some(written)) = (discovery, config.pools.get(&*pool.name)) else {
            continue;
        };
        let span = written.spans.of("discover");
        let name = &pool.name;
        if let Some((endpoints, skipped)) = discovery.first_list() {
            if !skipped.is_empty() {
                let count = match skipped.count() {
                    1 => "1 entry".to_owned(),
                    count => format!("{count} entries"),
                };
                let source = &discovery.source;
                let message = format!("pool \"{name}\": {count} of {source} cannot be used");
                list.push(Fault::warning(span, message, skipped.to_string()));
            } else if endpoints == 0 {
                let source = &discovery.source;
                let message = format!("pool \"{name}\": {source} has no endpoint");
                list.push(Fault::warning(span, message, "is the name right?"));
            }
        }
        let Some(error) = discovery.trouble() else {
            continue;
        };
        let status = pool.shared.discovered.status();
        let hint = match (status.restored, pool.listed.is_empty()) {
            (Some(time), _) => format!(
                "the pool would start with the list that was kept in proxy.state_dir at {}: {}",
                humantime::format_rfc3339_seconds(time),
                print::counted(status.endpoints, "endpoint")
            ),
            (None, true) => "the pool would start without an endpoint".to_owned(),
            (None, false) => "the pool would start with those of \"endpoints\" alone".to_owned(),
        };
        let message = format!("pool \"{name}\" finds no endpoints: {error}");
        list.push(Fault::warning(span, message, hint));
    }
    warnings.with_list(list)
}

fn summary(config: &Config, snapshot: &Snapshot) -> String {
    let pools = snapshot.pools.iter();
    let endpoints = pools.map(|it| it.endpoint_set().endpoints.len()).sum();
    let parts = [
        print::counted(config.listeners.len(), "listener"),
        print::counted(config.routes.len(), "route"),
        print::counted(config.pools.len(), "pool"),
        print::counted(endpoints, "endpoint"),
    ];
    let tests = match config.tests.len() {
        0 => String::new(),
        count => format!("; {} passed", print::counted(count, "test")),
    };
    format!("good: {}{tests}", parts.join(", "))
}

fn count(file: &Path, checked: &Checked) -> String {
    let errors = checked.faults.errors() + usize::from(checked.error.is_some());
    format!("\n{}: {}", file.display(), print::counted(errors, "error"))
}
