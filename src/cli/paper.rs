//! Documents printed from the definitions: completions, manual pages, the schema of the file.

use std::io;

use clap_complete::Shell;

use super::{
    args::Args,
    exit_code::{CommandError, Exit},
    print,
};
use crate::config::schema::json_schema;

/// Prints the completions of a shell.
pub(super) fn completions(shell: Shell) -> Result<Exit, CommandError> {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Args::definition(), NAME, &mut text);
    show(text)
}

/// Prints the manual page of the program or of one command.
pub(super) fn manual(command: Option<&str>) -> Result<Exit, CommandError> {
    let mut definition = Args::definition();
    // Gives the commands their full names and the options that all of them have.
    definition.build();
    let page = match command {
        None => definition,
        Some(name) => definition
            .find_subcommand(name)
            .cloned()
            .ok_or_else(|| CommandError::WrongUse(format!("there is no command \"{name}\"")))?,
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text)?;
    show(text)
}

/// Prints the JSON Schema of the configuration.
pub(super) fn schema() -> Result<Exit, CommandError> {
    print::json(&json_schema())?;
    Ok(Exit::Fine)
}

fn show(text: Vec<u8>) -> Result<Exit, CommandError> {
    let text = String::from_utf8(text).map_err(io::Error::other)?;
    print::answer(&text)?;
    Ok(Exit::Fine)
}

const NAME: &str = "sluicegate";
