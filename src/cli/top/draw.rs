//! The terminal: a head with what is wrong, the table, a line of keys.

use std::time::Duration;

use ratatui::{
    Frame,
    layout::{Constraint, Layout, Rect},
    style::{Color, Modifier, Style},
    text::{Line, Span, Text},
    widgets::{Paragraph, Row, Table as TableWidget, Wrap},
};

use super::{
    rows::{Column, Mood, Table},
    screen::Screen,
};
use crate::{admin::model::Overview, cli::wrong::wrong};

/// Draws the whole screen.
pub(super) fn draw(frame: &mut Frame<'_>, screen: &mut Screen) {
    let head = head(screen);
    let height = u16::try_from(head.len()).unwrap_or(u16::MAX);
    let parts = [
        Constraint::Length(height),
        Constraint::Min(3),
        Constraint::Length(1),
    ];
    let [above, middle, below] = Layout::vertical(parts).areas(frame.area());
    frame.render_widget(Paragraph::new(head), above);
    if screen.help {
        let help = Paragraph::new(Text::from(HELP)).wrap(Wrap { trim: false });
        frame.render_widget(help, middle);
    } else {
        table(frame, screen, middle);
    }
    let keys = if screen.typing {
        Line::from(format!("filter: {}_", screen.filter))
    } else {
        Line::from(KEYS).style(Style::new().add_modifier(Modifier::DIM))
    };
    frame.render_widget(keys, below);
}

fn head(screen: &Screen) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if let Some(trouble) = &screen.trouble {
        let text = format!("no overview, what is shown is old; trying again: {trouble}");
        lines.push(Line::styled(text, BAD));
    }
    match &screen.overview {
        Some(overview) => lines.extend(figures(screen, overview)),
        None if screen.trouble.is_none() => {
            lines.push(Line::from(format!("asking {} …", screen.address)));
        }
        None => {}
    }
    let tabs = Table::ALL.iter().enumerate().map(|(at, table)| {
        let text = format!(" {} {} ", at + 1, table.title());
        let chosen = *table == screen.table;
        let style = if chosen { CHOSEN } else { Style::new() };
        Span::styled(text, style)
    });
    let mut tabs = Line::from_iter(tabs);
    if !screen.filter.is_empty() && !screen.typing {
        tabs.push_span(format!("  filter: {}", screen.filter));
    }
    if screen.paused {
        tabs.push_span(Span::styled("  paused", DOUBTFUL));
    }
    lines.push(tabs);
    lines
}

fn figures(screen: &Screen, overview: &Overview) -> Vec<Line<'static>> {
    let status = &overview.status;
    let requests = &overview.requests;
    let uptime = humantime::format_duration(Duration::from_secs(status.uptime_seconds));
    let ms = |ms: Option<f64>| ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1} ms"));
    let failed = Span::styled(
        format!("{:.1} failed/s", requests.failed_per_second),
        if requests.failed_per_second > 0.0 {
            BAD
        } else {
            Style::new()
        },
    );
    let mut lines = vec![
        Line::from(format!(
            "{} {} at {}, up {uptime}, generation {}",
            status.version,
            status.state.word(),
            screen.address,
            status.generation
        )),
        Line::from_iter([
            Span::styled(format!("{:.0} req/s", requests.per_second), BOLD),
            Span::raw("  "),
            failed,
            Span::raw(format!(
                "  p50 {}  p99 {}  {} connections",
                ms(requests.latency.p50_ms),
                ms(requests.latency.p99_ms),
                status.connections
            )),
        ]),
    ];
    let all = wrong(
        &overview.ready,
        &overview.pools,
        &overview.rollouts,
        &overview.certificates,
    );
    let left = all.len().saturating_sub(WRONG_MAX);
    let shown = all.into_iter().take(WRONG_MAX);
    lines.extend(shown.map(|text| Line::styled(format!("! {}", one_line(&text)), DOUBTFUL)));
    if left > 0 {
        lines.push(Line::styled(
            format!("! and {left} more: see `status`"),
            DOUBTFUL,
        ));
    }
    lines
}

/// The first line of a message, and of each fault of a file; control characters of peers must not
/// reach the terminal.
fn one_line(text: &str) -> String {
    let lines = text.lines().enumerate();
    let lines = lines.filter(|(at, line)| *at == 0 || line.starts_with("error: "));
    let lines: Vec<&str> = lines.map(|(_, line)| line).collect();
    let line = lines.join("; ");
    line.chars().filter(|it| !it.is_control()).collect()
}

fn table(frame: &mut Frame<'_>, screen: &mut Screen, area: Rect) {
    let rows = screen.rows();
    // The line of titles takes one.
    let room = usize::from(area.height.saturating_sub(1)).max(1);
    screen.top = screen.top.min(rows.len().saturating_sub(room));
    let columns = screen.table.columns();
    let places = fitting(columns, area.width);
    let sort = screen.sort();
    let titles = places.iter().map(|at| {
        let mark = match (*at == sort.column, sort.descending) {
            (true, true) => "v",
            (true, false) => "^",
            (false, _) => "",
        };
        format!("{}{mark}", columns[*at].title)
    });
    let titles = Row::new(titles.collect::<Vec<_>>()).style(BOLD);
    let shown = rows.iter().skip(screen.top).take(room).map(|row| {
        let cells = places.iter().map(|at| one_line(&row.cells[*at].text));
        let style = match row.mood {
            Mood::Well => Style::new(),
            Mood::Doubtful => DOUBTFUL,
            Mood::Bad => BAD,
        };
        Row::new(cells.collect::<Vec<_>>()).style(style)
    });
    let last = places.len().saturating_sub(1);
    let widths = places.iter().enumerate().map(|(nth, at)| {
        let width = columns[*at].width;
        if nth == last {
            Constraint::Fill(1)
        } else {
            Constraint::Length(width)
        }
    });
    let widget = TableWidget::new(shown, widths).header(titles);
    frame.render_widget(widget, area);
}

/// The columns that a terminal of this width has room for: the most important ones, in their order.
pub(super) fn fitting(columns: &[Column], width: u16) -> Vec<usize> {
    let mut ranked: Vec<usize> = (0..columns.len()).collect();
    ranked.sort_by_key(|at| columns[*at].rank);
    let mut used = 0;
    let mut places = Vec::new();
    for at in ranked {
        let needs = columns[at].width + 1;
        if used + needs > width + 1 && !places.is_empty() {
            break;
        }
        used += needs;
        places.push(at);
    }
    places.sort_unstable();
    places
}

const BOLD: Style = Style::new().add_modifier(Modifier::BOLD);
const CHOSEN: Style = Style::new().add_modifier(Modifier::REVERSED);
const DOUBTFUL: Style = Style::new().fg(Color::Yellow);
const BAD: Style = Style::new().fg(Color::Red);

/// Maximum number of lines about what is wrong.
const WRONG_MAX: usize = 5;

const KEYS: &str = "q quit  ? help  tab table  </> sort  r reverse  / filter  space pause";

const HELP: &str = "\
q, Esc, Ctrl-C   quit
Tab, 1 to 4      endpoints, routes, pools by version, rollouts
left, right      sort by another column; r reverses the order
/                show only rows with a text; Enter keeps it, Esc clears it
up, down, PgUp, PgDn, Home, End   scroll
space            pause
?                this help

Figures are those of the last second. Yellow: in doubt, red: failing.
Narrow terminals leave out the less important columns.";

#[cfg(test)]
mod tests {
    use ratatui::{Terminal, backend::TestBackend};

    use super::*;

    #[test]
    fn narrow_terminals_keep_the_important_columns_in_their_order() {
        let columns = Table::Endpoints.columns();
        assert_eq!(fitting(columns, 200).len(), columns.len());
        assert_eq!(fitting(columns, 46), [0, 1, 2]);
        assert_eq!(fitting(columns, 1).len(), 1);
    }

    #[test]
    fn each_error_of_a_refused_reload_is_told_in_one_line() {
        let text = "the last reload was refused: error: a\n --> p.toml:1:2\n\u{1b}[2J\n\nerror: b\n --> p.toml:3:4";
        let told = "the last reload was refused: error: a; error: b";
        assert_eq!(one_line(text), told);
        assert_eq!(one_line("a\u{1b}[2Jb\nc"), "a[2Jb");
    }

    #[test]
    fn every_size_of_terminal_can_be_drawn() {
        for (width, height) in [(1, 1), (20, 5), (40, 12), (200, 60)] {
            let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
            let mut screen = Screen::new("127.0.0.1:9901".to_owned());
            terminal.draw(|frame| draw(frame, &mut screen)).unwrap();
            screen.hear(Err("connection refused".to_owned()));
            screen.help = true;
            terminal.draw(|frame| draw(frame, &mut screen)).unwrap();
        }
    }
}
