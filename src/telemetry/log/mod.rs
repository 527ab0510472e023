//! The log of the process itself: set-up of `tracing`, with a level that can be changed.
//!
//! Written to standard error, so that an access log on standard output stays clean.

use std::io::{self, IsTerminal};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Registry, fmt, reload};

/// How a line of the log looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Changes the level while the process runs.
#[derive(Clone, Debug)]
pub struct LogControl {
    filter: reload::Handle<EnvFilter, Registry>,
}

/// Why the log could not be set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is not one that `tracing` knows.
    #[error(
        "log level {0:?} is not one of off, error, warn, info, debug, trace, nor a list with target=level"
    )]
    Level(String),
    /// A log was set up before.
    #[error("the log is set up already")]
    SetUpTwice(#[from] TryInitError),
    /// The log is gone, since the process ends.
    #[error("the log is closed")]
    Closed(#[from] reload::Error),
}

/// Sets up the log of the process, once. `level` is a word (`info`) or a list of
/// `target=level` pairs.
///
/// # Errors
/// When the level is not known, or a log was set up before.
pub fn init(level: &str, format: LogFormat) -> Result<LogControl, LogError> {
    let (filter, handle) = reload::Layer::new(parse(level)?);
    let registry = tracing_subscriber::registry().with(filter);
    // Colours are for a terminal; in a file they would be noise.
    let layer = fmt::layer()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    match format {
        LogFormat::Text => registry.with(layer.with_target(false)).try_init()?,
        LogFormat::Json => {
            let layer = layer.json().flatten_event(true).with_current_span(false);
            registry.with(layer.with_span_list(false)).try_init()?;
        }
    }
    Ok(LogControl { filter: handle })
}

impl LogControl {
    /// Changes the level from the next line on.
    ///
    /// # Errors
    /// When the level is not known; the old one stays.
    pub fn set_level(&self, level: &str) -> Result<(), LogError> {
        let filter = parse(level)?;
        Ok(self.filter.reload(filter)?)
    }
}

fn parse(level: &str) -> Result<EnvFilter, LogError> {
    let unknown = || LogError::Level(level.to_owned());
    // `EnvFilter` would take a misspelt word for the name of a target, and log nothing.
    for word in level.split(',').map(str::trim) {
        let known = !word.is_empty() && word.parse::<LevelFilter>().is_ok();
        if !word.contains('=') && !known {
            return Err(unknown());
        }
    }
    EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse(level)
        .map_err(|_| unknown())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_words_or_lists_and_nothing_else() {
        for level in ["info", "off", "WARN", "info,hyper=warn"] {
            assert!(parse(level).is_ok(), "{level}");
        }
        for level in ["inof", "", "hyper=loud", "=", "a=b=c"] {
            assert!(parse(level).is_err(), "{level}");
        }
    }

    #[test]
    fn the_level_changes_while_the_process_runs() {
        let control = init("info", LogFormat::Json).unwrap();
        assert!(!tracing::enabled!(tracing::Level::DEBUG));
        control.set_level("debug").unwrap();
        assert!(tracing::enabled!(tracing::Level::DEBUG));
        assert!(control.set_level("hyper=loud").is_err());
        assert!(tracing::enabled!(tracing::Level::DEBUG));
    }
}
