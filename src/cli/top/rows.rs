//! Tables: columns, and rows made from an overview.

use std::{cmp::Ordering, collections::HashMap};

use crate::admin::model::{Endpoint, Latency, Overview, Pool};

/// A table that is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Table {
    Endpoints,
    Routes,
    Versions,
    Rollouts,
}

/// A column of a table.
pub(super) struct Column {
    pub(super) title: &'static str,
    /// Characters that it needs.
    pub(super) width: u16,
    /// Columns of a higher rank go first where a terminal is narrow.
    pub(super) rank: u8,
}

/// A cell: its text, and the number that it is sorted by.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Cell {
    pub(super) text: String,
    number: Option<f64>,
}

/// A row, and its mood.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    pub(super) cells: Vec<Cell>,
    pub(super) mood: Mood,
}

/// Condition of the subject of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mood {
    Well,
    Doubtful,
    Bad,
}

/// Order of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sort {
    pub(super) column: usize,
    pub(super) descending: bool,
}

/// Picks a second by pool and endpoint.
pub(super) type Rates = HashMap<(String, String), f64>;

impl Table {
    pub(super) const ALL: [Self; 4] = [
        Self::Endpoints,
        Self::Routes,
        Self::Versions,
        Self::Rollouts,
    ];

    pub(super) fn title(self) -> &'static str {
        match self {
            Self::Endpoints => "endpoints",
            Self::Routes => "routes",
            Self::Versions => "pools",
            Self::Rollouts => "rollouts",
        }
    }

    pub(super) fn columns(self) -> &'static [Column] {
        match self {
            Self::Endpoints => ENDPOINTS,
            Self::Routes => ROUTES,
            Self::Versions => VERSIONS,
            Self::Rollouts => ROLLOUTS,
        }
    }

    pub(super) fn rows(self, overview: &Overview, rates: &Rates) -> Vec<Row> {
        match self {
            Self::Endpoints => {
                let all = overview.pools.iter();
                let all = all.flat_map(|pool| pool.endpoints.iter().map(move |it| (pool, it)));
                all.map(|(pool, it)| endpoint(pool, it, rates)).collect()
            }
            Self::Routes => overview.routes.iter().map(route).collect(),
            Self::Versions => overview.attempts.iter().map(version).collect(),
            Self::Rollouts => overview.rollouts.iter().map(rollout).collect(),
        }
    }
}

/// Keeps the rows that have `filter` in a cell, and sorts them; equal ones stay in their order.
pub(super) fn arrange(rows: Vec<Row>, sort: Sort, filter: &str) -> Vec<Row> {
    let wanted = filter.to_lowercase();
    let has = |row: &Row| {
        let mut cells = row.cells.iter();
        cells.any(|cell| cell.text.to_lowercase().contains(&wanted))
    };
    let mut rows: Vec<Row> = rows.into_iter().filter(has).collect();
    rows.sort_by(|a, b| {
        let order = match (a.cells.get(sort.column), b.cells.get(sort.column)) {
            (Some(a), Some(b)) => a.compare(b),
            _ => Ordering::Equal,
        };
        if sort.descending {
            order.reverse()
        } else {
            order
        }
    });
    rows
}

impl Cell {
    fn text(text: impl Into<String>) -> Self {
        Self {
            text: text.into(),
            number: None,
        }
    }

    fn number(number: f64) -> Self {
        let digits = usize::from(number.abs() < 100.0 && number.fract() != 0.0);
        Self {
            text: format!("{number:.digits$}"),
            number: Some(number),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "shown, not counted with")]
    fn count(count: u64) -> Self {
        Self {
            text: count.to_string(),
            number: Some(count as f64),
        }
    }

    fn ms(ms: Option<f64>) -> Self {
        Self {
            text: ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}")),
            number: Some(ms.unwrap_or_default()),
        }
    }

    fn percent(part: f64, whole: f64) -> Self {
        let percent = if whole > 0.0 {
            part / whole * 100.0
        } else {
            0.0
        };
        Self {
            text: format!("{percent:.1}"),
            number: Some(percent),
        }
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self.number, other.number) {
            (Some(a), Some(b)) => a.total_cmp(&b),
            _ => self.text.cmp(&other.text),
        }
    }
}

fn endpoint(pool: &Pool, it: &Endpoint, rates: &Rates) -> Row {
    let rate = rates.get(&(pool.name.clone(), it.address.clone()));
    let in_flight = it.in_flight;
    Row {
        cells: vec![
            Cell::text(&*pool.name),
            Cell::text(&*it.address),
            Cell::text(it.condition()),
            Cell::number(rate.copied().unwrap_or_default()),
            in_flight.map_or_else(|| Cell::text("-"), Cell::count),
            Cell::text(it.version.as_deref().unwrap_or("-")),
            Cell::count(it.weight.into()),
            Cell::count(it.ejections.into()),
            Cell::text(it.cause.as_deref().unwrap_or("-")),
        ],
        mood: match (it.eligible, &*it.state) {
            (true, "healthy") => Mood::Well,
            (true, _) => Mood::Doubtful,
            (false, _) => Mood::Bad,
        },
    }
}

fn latencies(latency: &Latency) -> [Cell; 3] {
    [latency.p50_ms, latency.p90_ms, latency.p99_ms].map(Cell::ms)
}

fn route(it: &crate::admin::model::Traffic) -> Row {
    let name = if it.name.is_empty() {
        "(no route)"
    } else {
        &it.name
    };
    let mut cells = vec![
        Cell::text(name),
        Cell::number(it.per_second),
        Cell::percent(it.failed_per_second, it.per_second),
        Cell::percent(it.refused_per_second, it.per_second),
    ];
    cells.extend(latencies(&it.latency));
    cells.push(Cell::count(it.total));
    Row {
        cells,
        mood: mood_of(it.failed_per_second),
    }
}

fn version(it: &crate::admin::model::Attempts) -> Row {
    let mut cells = vec![
        Cell::text(&*it.pool),
        Cell::text(if it.version.is_empty() {
            "-"
        } else {
            &it.version
        }),
        Cell::number(it.per_second),
        Cell::percent(it.pool_failed_per_second, it.pool_per_second),
    ];
    cells.extend(latencies(&it.latency));
    Row {
        cells,
        mood: mood_of(it.pool_failed_per_second),
    }
}

fn rollout(it: &crate::admin::model::Rollout) -> Row {
    let (old, new) = (&it.versions.baseline, &it.versions.candidate);
    let failed = |it: &crate::admin::model::VersionFigures| {
        format!("{}/{}", it.rollout.failures, it.rollout.requests)
    };
    let state = it.state.replace('_', " ");
    Row {
        cells: vec![
            Cell::text(&*it.name),
            Cell::text(if it.paused {
                format!("{state}, paused")
            } else {
                state
            }),
            Cell::percent(it.share, 1.0),
            Cell::text(match it.between {
                true => format!("{}+/{}", it.step, it.steps.len()),
                false => format!("{}/{}", it.step, it.steps.len()),
            }),
            Cell::text(format!("{} -> {}", old.version, new.version)),
            Cell::text(failed(old)),
            Cell::text(failed(new)),
            Cell::text(&*it.reason),
        ],
        mood: match &*it.state {
            "rolling_back" | "rolled_back" => Mood::Bad,
            "waiting" | "holding" | "frozen" => Mood::Doubtful,
            _ => Mood::Well,
        },
    }
}

fn mood_of(failed: f64) -> Mood {
    if failed > 0.0 { Mood::Bad } else { Mood::Well }
}

const fn column(title: &'static str, width: u16, rank: u8) -> Column {
    Column { title, width, rank }
}

const ENDPOINTS: &[Column] = &[
    column("pool", 12, 0),
    column("endpoint", 22, 0),
    column("state", 10, 0),
    column("req/s", 8, 1),
    column("in flight", 9, 2),
    column("version", 10, 3),
    column("weight", 6, 5),
    column("ejections", 9, 6),
    column("cause", 20, 4),
];

const ROUTES: &[Column] = &[
    column("route", 20, 0),
    column("req/s", 8, 0),
    column("failed %", 8, 0),
    column("4xx %", 6, 3),
    column("p50 ms", 8, 2),
    column("p90 ms", 8, 4),
    column("p99 ms", 8, 1),
    column("total", 10, 5),
];

const VERSIONS: &[Column] = &[
    column("pool", 16, 0),
    column("version", 12, 0),
    column("req/s", 8, 0),
    column("failed %", 8, 1),
    column("p50 ms", 8, 3),
    column("p90 ms", 8, 4),
    column("p99 ms", 8, 2),
];

const ROLLOUTS: &[Column] = &[
    column("rollout", 14, 0),
    column("state", 14, 0),
    column("share %", 7, 0),
    column("step", 5, 2),
    column("versions", 18, 3),
    column("old failed", 12, 5),
    column("new failed", 12, 4),
    column("reason", 24, 1),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn row(name: &str, number: f64) -> Row {
        Row {
            cells: vec![Cell::text(name), Cell::number(number)],
            mood: Mood::Well,
        }
    }

    fn names(rows: &[Row]) -> Vec<&str> {
        rows.iter().map(|row| &*row.cells[0].text).collect()
    }

    #[test]
    fn numbers_are_sorted_as_numbers_and_equal_rows_keep_their_order() {
        let rows = vec![row("b", 9.0), row("a", 10.0), row("c", 9.0)];
        let by = |column, descending| arrange(rows.clone(), Sort { column, descending }, "");
        assert_eq!(names(&by(1, true)), ["a", "b", "c"]);
        assert_eq!(names(&by(1, false)), ["b", "c", "a"]);
        assert_eq!(names(&by(0, false)), ["a", "b", "c"]);
        assert_eq!(by(7, true).len(), 3);
    }

    #[test]
    fn a_filter_looks_into_every_cell() {
        let rows = vec![row("Shop", 1.5), row("orders", 2.0)];
        let sort = Sort {
            column: 0,
            descending: false,
        };
        assert_eq!(names(&arrange(rows.clone(), sort, "sho")), ["Shop"]);
        assert_eq!(names(&arrange(rows, sort, "2")), ["orders"]);
    }
}
