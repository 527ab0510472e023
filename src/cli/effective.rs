//! `config`: the values in effect, each with its origin.

use std::{borrow::Cow, fmt::Write as _};

use super::{
    args::{Args, ConfigArgs, Network, OutputFormat},
    check,
    client::{Client, segment},
    exit_code::{CommandError, Exit},
    print,
};
use crate::{
    admin::model::Origins,
    config::{PastTime, Secrets},
};

/// Shows the values of the file, or of the running proxy.
pub(super) fn config(args: &Args, asked: &ConfigArgs) -> Result<Exit, CommandError> {
    let place = asked.place.as_deref().unwrap_or_default();
    let place = place.trim_matches(['[', ']']);
    let origins = if asked.live || asked.ask.admin.is_some() {
        let client = Client::find(args, &asked.ask)?;
        let all = !asked.written;
        let path = format!("/config/origins?place={}&all={all}", segment(place));
        client.understand(client.get(&path)?)?
    } else {
        let file = args.config();
        let loaded = check::load(file, PastTime::Served, Secrets::Excused, Network::Asked);
        let loaded = loaded.map_err(CommandError::Faults)?;
        Origins::of(&loaded.config, place, asked.written)
    };
    if origins.origins.is_empty() && !place.is_empty() {
        let message = format!("there is nothing at \"{place}\"");
        return Err(CommandError::Refused(message));
    }
    match asked.ask.output.format {
        OutputFormat::Json => print::json(&origins)?,
        OutputFormat::Text => print::answer(&text(&origins))?,
    }
    Ok(Exit::Fine)
}

fn text(origins: &Origins) -> String {
    let rows: Vec<Vec<Cow<'_, str>>> = origins
        .origins
        .iter()
        .map(|it| {
            let mut value = it.value.to_string();
            if value.chars().count() > WIDTH_MAX {
                value = value.chars().take(WIDTH_MAX).chain(['…']).collect();
            }
            let line = format!("{} = {value}", it.place);
            vec![line.into(), format!("# {}", it.from).into()]
        })
        .collect();
    let mut text = print::columns(&rows);
    if origins.left_off > 0 {
        let _ = writeln!(text, "  … and {} more: name a place", origins.left_off);
    }
    text
}

/// Longer values are cut, for the columns.
const WIDTH_MAX: usize = 60;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::model::Origin;

    #[test]
    fn each_value_has_its_line() {
        let origin = |place: &str, value: &str, from: &str| Origin {
            place: place.to_owned(),
            value: value.into(),
            from: from.to_owned(),
            file: None,
            line: None,
            by: None,
            kept: None,
        };
        let origins = Origins {
            origins: vec![
                origin("a.b", "1m", "proxy.toml:3"),
                origin("a.long", &"x".repeat(80), "built-in default"),
            ],
            left_off: 2,
        };
        let shown = text(&origins);
        let mut lines = shown
            .lines()
            .map(|line| line.split_once("  # ").unwrap_or((line, "")));
        let (line, from) = lines.next().unwrap_or_default();
        assert_eq!((line.trim(), from), ("a.b = \"1m\"", "proxy.toml:3"));
        let (line, from) = lines.next().unwrap_or_default();
        assert!(line.trim().ends_with("xxx…"), "{line}");
        assert_eq!(from, "built-in default");
        assert_eq!(lines.next(), Some(("  … and 2 more: name a place", "")));
    }
}
