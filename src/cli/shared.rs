//! `push` and `fleet`: the configuration that many proxies share, in its store.

use std::{borrow::Cow, path::PathBuf, time::SystemTime};

use clap::ValueHint;
use serde_json::json;

use super::{
    args::{Args, OutputArgs, OutputFormat},
    exit_code::{CommandError, Exit},
    print,
};
use crate::{
    config::{self, Loaded, PastTime, Rules, Secrets, SharedPart},
    file,
    server::{self, Author, Member, Pushed, Store, hostname, names_of_several},
    state::{Lists, Registered},
};

/// `push`.
#[derive(Debug, clap::Args)]
pub(super) struct PushArgs {
    /// The shared part of the configuration; `--config` names the file of a proxy with the store.
    #[arg(value_hint = ValueHint::FilePath)]
    pub(super) file: PathBuf,
    /// The revision that the file was made from; refused if it is not the newest any more. By
    /// default the newest one when the command begins. 0: there is none yet.
    #[arg(long, value_name = "REVISION")]
    pub(super) base: Option<i64>,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// `fleet`.
#[derive(Debug, clap::Args)]
pub(super) struct FleetArgs {
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// Checks a shared configuration, runs its tests, and writes it if nobody else has written since.
pub(super) fn push(args: &Args, asked: &PushArgs) -> Result<Exit, CommandError> {
    let (local, store) = local(args)?;
    let text = file::read_to_string(&asked.file, file::WATCHED_BYTES_MAX);
    let text = text.map_err(|error| CommandError::unreadable(&asked.file, &error))?;
    let found = store.current_blocking().map_err(CommandError::Unknown)?;
    let part = SharedPart {
        name: asked.file.display().to_string().into(),
        text: text.as_str().into(),
        revision: 0,
    };
    let loaded = config::parse_with(local.text, Some(part), args.config(), &RULES);
    let loaded = loaded.map_err(CommandError::Faults)?;
    if !loaded.warnings.is_empty() {
        print::faults(&loaded.warnings)?;
    }
    let compiled = server::compile(loaded, &Registered::default(), Lists::Left);
    compiled.map_err(|error| CommandError::Configuration {
        file: asked.file.clone(),
        reason: error.to_string(),
    })?;
    let base = asked.base.unwrap_or(found);
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME"));
    let author = Author {
        who: format!(
            "{}@{}",
            user.unwrap_or_else(|_| "unknown".to_owned()),
            hostname()
        ),
        when: humantime::format_rfc3339_millis(SystemTime::now()).to_string(),
    };
    let pushed = store.push_blocking(&text, base, &author);
    match pushed.map_err(CommandError::Unknown)? {
        Pushed::Written(revision) => {
            match asked.output.format {
                OutputFormat::Json => {
                    print::json(&json!({ "key": store.name(), "revision": revision }))?;
                }
                OutputFormat::Text => {
                    print::answer(&format!("written to {}: revision {revision}", store.name()))?;
                }
            }
            Ok(Exit::Fine)
        }
        Pushed::Overtaken(revision, by) => {
            let by = by.map_or_else(
                || "somebody else has written it".to_owned(),
                |by| format!("{} wrote it at {}", by.who, by.when),
            );
            let name = store.name();
            Err(CommandError::Unknown(format!(
                "not written: {name} is at revision {revision}, not {base}: {by}; take over what \
                 changed, then push with --base {revision}"
            )))
        }
    }
}

/// Lists the proxies that use the shared configuration.
pub(super) fn fleet(args: &Args, asked: &FleetArgs) -> Result<Exit, CommandError> {
    let (_, store) = local(args)?;
    let revision = store.current_blocking().map_err(CommandError::Unknown)?;
    let members = store.fleet_blocking().map_err(CommandError::Unknown)?;
    match asked.output.format {
        OutputFormat::Json => print::json(&json!({
            "key": store.name(),
            "revision": revision,
            "proxies": members,
        }))?,
        OutputFormat::Text => print::answer(&table(&store, revision, &members))?,
    }
    Ok(Exit::Fine)
}

fn table(store: &Store, revision: i64, members: &[Member]) -> String {
    let head = [
        "name",
        "version",
        "state",
        "health",
        "revision",
        "generation",
    ];
    let mut rows = vec![head.map(Cow::from).to_vec()];
    for member in members {
        let health = if member.healthy { "good" } else { "bad" };
        rows.push(vec![
            Cow::from(&*member.name),
            Cow::from(&*member.version),
            Cow::from(&*member.state),
            Cow::from(health),
            Cow::from(member.revision.to_string()),
            Cow::from(member.generation.to_string()),
        ]);
    }
    let mut text = format!(
        "{}: revision {revision}, used by {}\n",
        store.name(),
        match members.len() {
            1 => "1 proxy".to_owned(),
            count => format!("{count} proxies"),
        }
    );
    text.push_str(&print::columns(&rows));
    for (name, count) in names_of_several(members) {
        text.push_str(&format!(
            "{count} proxies are called {name}: each needs a config.name of its own\n"
        ));
    }
    for member in members {
        if let Some(error) = &member.error {
            text.push_str(&format!("{}: {error}\n", member.name));
        }
    }
    text
}

/// Reads the file of a proxy, and finds the store that it names.
fn local(args: &Args) -> Result<(Loaded, Store), CommandError> {
    let loaded = config::load(args.config(), &RULES).map_err(CommandError::Faults)?;
    match Store::of(&loaded.config) {
        Some(store) => Ok((loaded, store)),
        None => Err(CommandError::Configuration {
            file: args.config().to_owned(),
            reason: "it names no store: [config] source = { etcd = { … } } or { consul = { … } }"
                .to_owned(),
        }),
    }
}

/// Secrets are in the environment of the proxies.
const RULES: Rules<'_> = Rules {
    included: None,
    before: &[],
    pickers: &[],
    filters: &[],
    past_time: PastTime::Served,
    secrets: Secrets::Excused,
};
