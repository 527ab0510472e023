//! Exchanges under way on a worker, and what each of them holds.
//!
//! An exchange has a place in this list from its head to its end. Only the worker itself reads and
//! writes it; the admin API asks the worker. So an ordinary request pays a few plain stores, and
//! allocates nothing once the list has grown to the most that were under way at once.

use std::{cell::RefCell, rc::Rc};

use tokio::time::Instant;

use super::RouteMetrics;
use crate::upstream::idle::Described;

/// The exchanges under way on one worker.
#[derive(Debug, Default)]
pub(crate) struct UnderWay(RefCell<Places>);

/// Place of an exchange in the list of its worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ExchangePlace(u32);

/// An exchange under way.
#[derive(Debug)]
pub(crate) struct Holder {
    /// Number of its connection among those of the worker.
    pub(crate) connection: u64,
    /// Generation of the configuration that it holds.
    pub(crate) generation: u64,
    /// Time at which its head had arrived.
    pub(crate) started: Instant,
    /// Its route, once that is chosen.
    route: Option<Rc<RouteMetrics>>,
    /// Endpoint of its latest attempt.
    endpoint: Option<Rc<Described>>,
}

/// Selects exchanges under way by what they hold. Without a member all of them are selected.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HolderFilter {
    /// Generation of the configuration.
    pub generation: Option<u64>,
    /// Name of the route.
    pub route: Option<String>,
    /// Name of the pool of the latest attempt.
    pub pool: Option<String>,
    /// Address of the endpoint of the latest attempt.
    pub endpoint: Option<String>,
}

#[derive(Debug)]
struct Places {
    list: Vec<Place>,
    /// The first free place; the free ones are a chain.
    free: ExchangePlace,
}

#[derive(Debug)]
struct Place {
    holder: Option<Holder>,
    /// The free place after this one.
    next: ExchangePlace,
}

impl UnderWay {
    /// Notes an exchange that begins.
    pub(crate) fn begin(
        &self,
        connection: u64,
        generation: u64,
        started: Instant,
    ) -> ExchangePlace {
        let holder = Holder {
            connection,
            generation,
            started,
            route: None,
            endpoint: None,
        };
        let mut places = self.0.borrow_mut();
        let free = places.free;
        match places.list.get_mut(free.0 as usize) {
            Some(place) => {
                place.holder = Some(holder);
                places.free = place.next;
                free
            }
            None => places.add(holder),
        }
    }

    /// Notes the route of an exchange.
    pub(crate) fn route(&self, place: ExchangePlace, route: &Rc<RouteMetrics>) {
        if let Some(holder) = self.0.borrow_mut().holder(place) {
            holder.route = Some(Rc::clone(route));
        }
    }

    /// Notes the endpoint of the attempt that begins, or stands.
    pub(crate) fn endpoint(&self, place: ExchangePlace, endpoint: &Rc<Described>) {
        if let Some(holder) = self.0.borrow_mut().holder(place) {
            holder.endpoint = Some(Rc::clone(endpoint));
        }
    }

    /// Notes that an exchange holds no endpoint any more.
    pub(crate) fn leaves_endpoint(&self, place: ExchangePlace) {
        if let Some(holder) = self.0.borrow_mut().holder(place) {
            holder.endpoint = None;
        }
    }

    /// Notes the end of an exchange.
    pub(crate) fn end(&self, place: ExchangePlace) {
        let mut places = self.0.borrow_mut();
        let free = places.free;
        let Some(ended) = places.list.get_mut(place.0 as usize) else {
            return;
        };
        let holder = ended.holder.take();
        if holder.is_some() {
            ended.next = free;
            places.free = place;
        }
    }

    /// Calls `look` with each exchange under way.
    pub(crate) fn each(&self, mut look: impl FnMut(&Holder)) {
        let places = self.0.borrow();
        let holders = places.list.iter().filter_map(|it| it.holder.as_ref());
        holders.for_each(&mut look);
    }
}

impl Holder {
    /// Name of its route, once that is chosen.
    pub(crate) fn route(&self) -> Option<&str> {
        Some(self.route.as_ref()?.name())
    }

    /// Name of the pool of the latest attempt.
    pub(crate) fn pool(&self) -> Option<&str> {
        Some(&self.endpoint.as_ref()?.pool)
    }

    /// Address of the endpoint of the latest attempt.
    pub(crate) fn endpoint(&self) -> Option<&str> {
        Some(&self.endpoint.as_ref()?.endpoint.label)
    }

    /// Version that runs at that endpoint.
    pub(crate) fn version(&self) -> Option<&str> {
        let described = self.endpoint.as_ref()?;
        described.endpoint.version_label.as_deref()
    }
}

impl HolderFilter {
    /// Returns true if it selects this exchange.
    pub(crate) fn selects(&self, holder: &Holder) -> bool {
        let is = |wanted: &Option<String>, held: Option<&str>| {
            wanted.is_none() || wanted.as_deref() == held
        };
        self.generation.is_none_or(|it| it == holder.generation)
            && is(&self.route, holder.route())
            && is(&self.pool, holder.pool())
            && is(&self.endpoint, holder.endpoint())
    }
}

impl Places {
    #[cold]
    fn add(&mut self, holder: Holder) -> ExchangePlace {
        let number = u32::try_from(self.list.len()).ok();
        let place = number.map_or(ExchangePlace::NONE, ExchangePlace);
        if place != ExchangePlace::NONE {
            self.list.push(Place {
                holder: Some(holder),
                next: ExchangePlace::NONE,
            });
        }
        place
    }

    fn holder(&mut self, place: ExchangePlace) -> Option<&mut Holder> {
        self.list.get_mut(place.0 as usize)?.holder.as_mut()
    }
}

impl Default for Places {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            free: ExchangePlace::NONE,
        }
    }
}

impl ExchangePlace {
    /// No place: that of an exchange that has not begun.
    const NONE: Self = Self(u32::MAX);
}

impl Default for ExchangePlace {
    fn default() -> Self {
        Self::NONE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn connections(list: &UnderWay) -> Vec<u64> {
        let mut seen = Vec::new();
        list.each(|holder| seen.push(holder.connection));
        seen.sort_unstable();
        seen
    }

    #[tokio::test]
    async fn each_exchange_has_a_place_until_it_ends_and_places_are_used_again() {
        let list = UnderWay::default();
        let now = Instant::now();
        let places: Vec<ExchangePlace> = (0..4).map(|it| list.begin(it, 1, now)).collect();
        assert_eq!(connections(&list), [0, 1, 2, 3]);
        list.end(places[1]);
        list.end(places[3]);
        assert_eq!(connections(&list), [0, 2]);
        let again = [list.begin(4, 2, now), list.begin(5, 2, now)];
        assert_eq!(again, [places[3], places[1]], "no new places");
        assert_eq!(connections(&list), [0, 2, 4, 5]);
        assert_eq!(list.0.borrow().list.len(), 4);
    }

    #[tokio::test]
    async fn one_that_has_ended_or_not_begun_changes_nothing() {
        let list = UnderWay::default();
        let place = list.begin(1, 1, Instant::now());
        list.end(place);
        list.end(place);
        list.end(ExchangePlace::default());
        list.leaves_endpoint(place);
        assert_eq!(list.begin(2, 1, Instant::now()), place);
        assert_ne!(list.begin(3, 1, Instant::now()), place);
        assert_eq!(connections(&list), [2, 3]);
    }
}
