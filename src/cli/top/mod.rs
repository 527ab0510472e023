//! `top`: the running proxy live in the terminal.
//!
//! One thread asks the admin API for its overview, once a second; this one draws and reads keys.
//! `screen` is what is shown and how keys change it, `rows` the tables, `draw` the terminal.

mod draw;
mod feed;
mod rows;
mod screen;

use std::{
    io::{self, IsTerminal as _},
    time::Duration,
};

use ratatui::crossterm::event::{self, Event, KeyEventKind};

use self::{feed::Feed, screen::Screen};
use super::{
    args::{Args, AskArgs, OutputFormat},
    client::Client,
    exit_code::{CommandError, Exit},
    print,
};
use crate::admin::model::Overview;

/// Shows the proxy until the user quits; for programs, one overview.
pub(super) fn top(args: &Args, ask: &AskArgs) -> Result<Exit, CommandError> {
    let client = Client::find(args, ask)?;
    if ask.output.format == OutputFormat::Json {
        print::json(&client.read::<Overview>()?)?;
        return Ok(Exit::Fine);
    }
    if !io::stdout().is_terminal() || !io::stdin().is_terminal() {
        let reason =
            "top needs a terminal; `top --format json` prints one overview for programs".to_owned();
        return Err(CommandError::WrongUse(reason));
    }
    let mut screen = Screen::new(client.address().to_string());
    let feed = Feed::start(client)?;
    // Also restores the terminal when a panic ends the program.
    let mut terminal = ratatui::try_init()?;
    let shown = show(&mut terminal, &mut screen, &feed);
    ratatui::restore();
    shown?;
    Ok(Exit::Fine)
}

fn show(
    terminal: &mut ratatui::DefaultTerminal,
    screen: &mut Screen,
    feed: &Feed,
) -> io::Result<()> {
    loop {
        terminal.draw(|frame| draw::draw(frame, screen))?;
        if event::poll(LOOK)?
            && let Event::Key(key) = event::read()?
            && key.kind == KeyEventKind::Press
            && screen.press(key).is_break()
        {
            return Ok(());
        }
        for heard in feed.heard() {
            screen.hear(heard);
        }
    }
}

/// Maximum time between two looks at the news.
const LOOK: Duration = Duration::from_millis(200);
