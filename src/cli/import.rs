//! `import`: the configuration of another proxy, written anew.

use std::path::{Path, PathBuf};

use clap::{ValueEnum, ValueHint};
use serde_json::json;

use super::{
    args::{OutputArgs, OutputFormat},
    check,
    exit_code::{CommandError, Exit},
    print,
};
use crate::import::{Dialect, import};

/// `import`.
#[derive(Debug, clap::Args)]
pub(super) struct ImportArgs {
    /// The other proxy.
    #[arg(value_enum)]
    pub(super) from: From,
    /// Its main configuration file; files that it includes are read as well.
    #[arg(value_hint = ValueHint::FilePath)]
    pub(super) file: PathBuf,
    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// Proxies whose configurations are understood.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum From {
    /// nginx: `nginx.conf`.
    Nginx,
    /// Caddy: a Caddyfile.
    #[value(alias = "caddyfile")]
    Caddy,
    /// HAProxy: `haproxy.cfg`.
    Haproxy,
    /// Traefik: a file of its file provider, or its static configuration that names them; YAML or TOML.
    Traefik,
}

/// Prints the configuration in our form. Remarks say how much of it is left to do by hand, and what
/// `check` would refuse in it.
pub(super) fn run(asked: &ImportArgs) -> Result<Exit, CommandError> {
    let dialect = match asked.from {
        From::Nginx => Dialect::Nginx,
        From::Caddy => Dialect::Caddy,
        From::Haproxy => Dialect::Haproxy,
        From::Traefik => Dialect::Traefik,
    };
    let imported = import(dialect, &asked.file)?;
    let refusal = check::refusal(&imported.text, Path::new("proxy.toml"));
    match asked.output.format {
        OutputFormat::Json => print::json(&json!({
            "file": asked.file,
            "text": imported.text,
            "untranslated": imported.untranslated,
            "refusal": refusal,
        }))?,
        OutputFormat::Text => {
            print::answer(imported.text.trim_end())?;
            if imported.untranslated > 0 {
                let lines = print::counted(imported.untranslated, "line");
                print::remark(&format!(
                    "{lines} not translated: look for NOT TRANSLATED, where each says what to do"
                ))?;
            }
            if let Some(refusal) = refusal {
                let what = "as it stands, `sluicegate check` refuses it: mend these places";
                print::remark(&format!("{what}\n{}", refusal.trim_end()))?;
            }
        }
    }
    Ok(Exit::Fine)
}
