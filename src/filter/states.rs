//! State of filters of an embedding program beyond one exchange.
//!
//! Both kinds are lists that only grow, by one entry for each type that is asked for, so that a
//! look-up takes no lock and gives a plain reference.

use std::{any::Any, cell::OnceCell, fmt, sync::OnceLock};

use super::CustomFilter;
use crate::exchange::Exchange;

/// State of one filter on one worker.
#[derive(Default)]
pub struct LocalStates(OnceCell<Box<LocalState>>);

struct LocalState {
    value: Box<dyn Any>,
    next: LocalStates,
}

/// State of one filter on one route, for all workers. The registry keeps it over reloads.
#[derive(Default)]
pub struct SharedStates(OnceLock<Box<SharedState>>);

struct SharedState {
    value: Box<dyn Any + Send + Sync>,
    next: SharedStates,
}

/// State of a filter beyond one exchange.
impl Exchange {
    /// State of the filter at work on this worker; made when first asked for, one value of
    /// each type. No other thread sees it: a `Cell` or `RefCell` in it is enough to change it. It
    /// serves all routes, and lives as long as the worker.
    ///
    /// # Panics
    /// Outside the calls of a [`Filter`](super::Filter).
    pub fn per_worker<T: 'static>(&self, make: impl FnOnce() -> T) -> &T {
        let number = self.custom_filter().number;
        self.snapshot.filters[number].get(make)
    }

    /// State of the filter at work on this route, for all workers; made when first asked
    /// for, one value of each type. Reloads keep it as long as the route, by its name, has the
    /// filter; then it goes with the last exchange that uses it.
    ///
    /// # Panics
    /// Outside the calls of a [`Filter`](super::Filter).
    pub fn per_route<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> T) -> &T {
        self.custom_filter().states.get(make)
    }

    #[expect(
        clippy::expect_used,
        reason = "only filters at work have an exchange to ask"
    )]
    fn custom_filter(&self) -> &CustomFilter {
        let route = self.route();
        let filter = route.and_then(|route| route.filters.custom(self.passage.at()));
        filter.expect("a filter of an embedding program is at work")
    }
}

impl LocalStates {
    /// The state of this type; made when first asked for.
    pub fn get<T: 'static>(&self, make: impl FnOnce() -> T) -> &T {
        let mut make = Some(make);
        let mut states = self;
        loop {
            let state = states.0.get_or_init(|| {
                Box::new(LocalState {
                    value: match make.take() {
                        Some(make) => Box::new(make()),
                        None => Box::new(()),
                    },
                    next: Self::default(),
                })
            });
            if let Some(value) = state.value.downcast_ref() {
                return value;
            }
            states = &state.next;
        }
    }
}

impl SharedStates {
    /// The state of this type; made by the first worker that asks.
    pub fn get<T: Send + Sync + 'static>(&self, make: impl FnOnce() -> T) -> &T {
        let mut make = Some(make);
        let mut states = self;
        loop {
            let state = states.0.get_or_init(|| {
                Box::new(SharedState {
                    value: match make.take() {
                        Some(make) => Box::new(make()),
                        None => Box::new(()),
                    },
                    next: Self::default(),
                })
            });
            if let Some(value) = state.value.downcast_ref() {
                return value;
            }
            states = &state.next;
        }
    }
}

impl fmt::Debug for LocalStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LocalStates")
    }
}

impl fmt::Debug for SharedStates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedStates")
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn there_is_one_state_of_each_type() {
        let states = LocalStates::default();
        states.get(|| Cell::new(1)).set(2);
        assert_eq!(states.get(|| "text"), &"text");
        assert_eq!(states.get(|| Cell::new(1)).get(), 2);
        assert_eq!(states.get(|| "other"), &"text");
    }

    #[test]
    fn threads_that_ask_at_once_get_the_same() {
        let states = SharedStates::default();
        std::thread::scope(|scope| {
            for thread in 0..4_u32 {
                let states = &states;
                scope.spawn(move || {
                    let number = *states.get(|| thread);
                    assert_eq!(*states.get(|| 9_u64), 9);
                    assert_eq!(*states.get(|| 7_u32), number);
                });
            }
        });
    }
}
