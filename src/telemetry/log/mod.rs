//! The log of the process itself: set-up of `tracing`, with a level that can be changed.
//!
//! Written to standard error, so that an access log on standard output stays clean, by a thread of
//! its own: no line waits for its reader, see [`writer`]. Panics are logged the same way.

mod limit;
mod writer;

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::{self, IsTerminal},
    panic::PanicHookInfo,
    sync::LazyLock,
    time::Duration,
};

use tokio::time::Instant;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::EnvFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};
use tracing_subscriber::{Registry, fmt, reload};

#[doc(hidden)]
pub use limit::LogLimit;
#[doc(hidden)]
pub use writer::LINES_DROPPED;
use writer::{Layout, Queue};

/// Format of a line of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Text for people.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// Changes the level while the process runs, and flushes the last lines at its end.
#[derive(Clone, Debug)]
pub struct LogControl {
    filter: reload::Handle<EnvFilter, Registry>,
    queue: Queue,
    is_terminal: bool,
}

/// Reasons why the log could not be set up or changed.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The level is unknown to `tracing`.
    #[error(
        "log level {0:?} is not one of off, error, warn, info, debug, trace, nor a list with target=level"
    )]
    Level(String),
    /// A log was set up before.
    #[error("the log is set up already")]
    SetUpTwice(#[from] TryInitError),
    /// The system cannot make a thread to write it.
    #[error("the log has no thread: {0}")]
    Thread(io::Error),
    /// The log has ended with the process.
    #[error("the log is closed")]
    Closed(#[from] reload::Error),
}

/// Sets up the log of the process, once. `level` is a word (`info`) or a list of
/// `target=level` pairs.
///
/// # Errors
/// If the level is unknown, a log was set up before, or the system cannot make a thread.
pub fn init(level: &str, format: LogFormat) -> Result<LogControl, LogError> {
    let (filter, handle) = reload::Layer::new(parse(level)?);
    let registry = tracing_subscriber::registry().with(filter);
    let is_terminal = io::stderr().is_terminal();
    let layout = match format {
        LogFormat::Text if is_terminal => Layout::Terminal,
        LogFormat::Text | LogFormat::Json => Layout::Lines,
    };
    let queue = Queue::start(io::stderr(), layout).map_err(LogError::Thread)?;
    // Colours are for a terminal; in a file they would be noise.
    let layer = fmt::layer()
        .with_writer(queue.clone())
        .with_ansi(is_terminal);
    match format {
        LogFormat::Text => registry.with(layer.with_target(false)).try_init()?,
        LogFormat::Json => {
            let layer = layer.json().flatten_event(true).with_current_span(false);
            registry.with(layer.with_span_list(false)).try_init()?;
        }
    }
    Ok(LogControl {
        filter: handle,
        queue,
        is_terminal,
    })
}

/// Logs a panic: the standard hook would wait for the reader of standard error.
fn tell_panic(panic: &PanicHookInfo<'_>) {
    let place = panic.location().map(ToString::to_string);
    let place = place.unwrap_or_default();
    // A fault that a peer can set off may come as often as it likes.
    let Some(passed_over) = PANICS.due(place.clone(), Instant::now()) else {
        return;
    };
    let why = panic.payload_as_str().unwrap_or("of unknown kind");
    let backtrace = Backtrace::capture();
    match backtrace.status() {
        BacktraceStatus::Captured => {
            tracing::error!(place, passed_over, %backtrace, "panic: {why}");
        }
        _ => tracing::error!(place, passed_over, "panic: {why}"),
    }
}

static PANICS: LazyLock<LogLimit<String>> = LazyLock::new(LogLimit::default);

impl LogControl {
    /// Changes the level from the next line on.
    ///
    /// # Errors
    /// If the level is unknown; the old one stays.
    pub fn set_level(&self, level: &str) -> Result<(), LogError> {
        let filter = parse(level)?;
        Ok(self.filter.reload(filter)?)
    }

    /// Logs panics from now on.
    pub fn tell_panics(&self) {
        let queue = self.queue.clone();
        std::panic::set_hook(Box::new(move |panic| {
            tell_panic(panic);
            // It may be the last that this process does.
            queue.settle(PANIC_PATIENCE);
        }));
    }

    /// Returns true if the log goes to a terminal, where an event may have several lines.
    pub fn is_terminal(&self) -> bool {
        self.is_terminal
    }

    /// Waits until the lines so far are written; returns false if that takes longer than
    /// `patience`. Blocks the thread: for the end of the process.
    pub fn settle(&self, patience: Duration) -> bool {
        self.queue.settle(patience)
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

/// Maximum time that a thread that panics waits for its line to be written.
const PANIC_PATIENCE: Duration = Duration::from_millis(200);

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
