//! State of the screen, changed by keys and news.

use std::ops::ControlFlow;

use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

use super::{
    feed::News,
    rows::{Rates, Row, Sort, Table, arrange},
};
use crate::admin::model::Overview;

/// The state of the screen.
pub(super) struct Screen {
    /// Address of the proxy.
    pub(super) address: String,
    pub(super) overview: Option<Box<Overview>>,
    /// Reason why the newest overview is missing.
    pub(super) trouble: Option<String>,
    pub(super) table: Table,
    sorts: [Sort; Table::ALL.len()],
    pub(super) filter: String,
    /// True while a filter is typed.
    pub(super) typing: bool,
    pub(super) help: bool,
    pub(super) paused: bool,
    /// First row that is shown.
    pub(super) top: usize,
    rates: Rates,
}

impl Screen {
    pub(super) fn new(address: String) -> Self {
        let by_name = Sort {
            column: 0,
            descending: false,
        };
        Self {
            address,
            overview: None,
            trouble: None,
            table: Table::Endpoints,
            sorts: [by_name; Table::ALL.len()],
            filter: String::new(),
            typing: false,
            help: false,
            paused: false,
            top: 0,
            rates: Rates::new(),
        }
    }

    /// Takes news in; a break leaves the last overview on the screen.
    pub(super) fn hear(&mut self, news: News) {
        match news {
            Ok(_) if self.paused => {}
            Ok(overview) => {
                self.trouble = None;
                if let Some(old) = &self.overview {
                    self.rates = rates(old, &overview);
                }
                self.overview = Some(overview);
            }
            Err(reason) => self.trouble = Some(reason),
        }
    }

    /// Rows in their order.
    pub(super) fn rows(&self) -> Vec<Row> {
        let overview = self.overview.as_ref();
        let rows = overview.map(|it| self.table.rows(it, &self.rates));
        arrange(rows.unwrap_or_default(), self.sort(), &self.filter)
    }

    pub(super) fn sort(&self) -> Sort {
        self.sorts[self.table as usize]
    }

    /// Obeys a key; breaks when the user quits.
    pub(super) fn press(&mut self, key: KeyEvent) -> ControlFlow<()> {
        if key.modifiers.contains(KeyModifiers::CONTROL) && key.code == KeyCode::Char('c') {
            return ControlFlow::Break(());
        }
        if self.typing {
            self.type_filter(key.code);
            return ControlFlow::Continue(());
        }
        let help = std::mem::take(&mut self.help);
        match key.code {
            KeyCode::Char('q') => return ControlFlow::Break(()),
            KeyCode::Esc if !help && self.filter.is_empty() => return ControlFlow::Break(()),
            KeyCode::Esc => self.filter.clear(),
            KeyCode::Char('?' | 'h') => self.help = !help,
            KeyCode::Char('/') => self.typing = true,
            KeyCode::Char(' ') => self.paused = !self.paused,
            KeyCode::Char('r') => {
                let sort = &mut self.sorts[self.table as usize];
                sort.descending = !sort.descending;
            }
            KeyCode::Char(digit @ '1'..='4') => {
                let at = digit as usize - '1' as usize;
                self.turn_to(Table::ALL[at]);
            }
            KeyCode::Tab => self.turn_by(1),
            KeyCode::BackTab => self.turn_by(Table::ALL.len() - 1),
            KeyCode::Right => self.sort_by(1),
            KeyCode::Left => self.sort_by(self.table.columns().len() - 1),
            KeyCode::Down => self.top = self.top.saturating_add(1),
            KeyCode::Up => self.top = self.top.saturating_sub(1),
            KeyCode::PageDown => self.top = self.top.saturating_add(PAGE),
            KeyCode::PageUp => self.top = self.top.saturating_sub(PAGE),
            KeyCode::Home => self.top = 0,
            KeyCode::End => self.top = usize::MAX,
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn type_filter(&mut self, code: KeyCode) {
        match code {
            KeyCode::Enter => self.typing = false,
            KeyCode::Esc => {
                self.typing = false;
                self.filter.clear();
            }
            KeyCode::Backspace => {
                self.filter.pop();
            }
            KeyCode::Char(letter) if self.filter.len() < FILTER_BYTES_MAX => {
                self.filter.push(letter);
            }
            _ => {}
        }
        self.top = 0;
    }

    fn turn_to(&mut self, table: Table) {
        self.table = table;
        self.top = 0;
    }

    fn turn_by(&mut self, tables: usize) {
        let at = (self.table as usize + tables) % Table::ALL.len();
        self.turn_to(Table::ALL[at]);
    }

    /// Numbers are shown from the largest down, names from the first on.
    fn sort_by(&mut self, columns: usize) {
        let count = self.table.columns().len();
        let sort = &mut self.sorts[self.table as usize];
        sort.column = (sort.column + columns) % count;
        sort.descending = sort.column > 1;
    }
}

/// Picks a second between two overviews.
fn rates(old: &Overview, new: &Overview) -> Rates {
    let millis = new.time_unix_ms.saturating_sub(old.time_unix_ms);
    let mut rates = Rates::new();
    if millis == 0 {
        return rates;
    }
    let picks = |overview: &Overview| {
        let mut picks = std::collections::HashMap::new();
        for pool in &overview.pools {
            for it in &pool.endpoints {
                if let Some(count) = it.picks {
                    picks.insert((pool.name.clone(), it.address.clone()), count);
                }
            }
        }
        picks
    };
    let before = picks(old);
    for (key, now) in picks(new) {
        let since = before.get(&key).map_or(0, |old| now.saturating_sub(*old));
        #[expect(clippy::cast_precision_loss, reason = "far below 2^53 in a moment")]
        rates.insert(key, since as f64 * 1000.0 / millis as f64);
    }
    rates
}

const PAGE: usize = 20;

const FILTER_BYTES_MAX: usize = 100;
