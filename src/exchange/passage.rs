//! The way of an exchange through the filters of its route, and what they keep for it.

use std::{any::Any, fmt};

use super::Exchange;

/// The way through the filters of a route, there and back.
#[derive(Debug, Default)]
pub(crate) struct Passage {
    /// Filters that let the request pass: the first so many of the chain.
    passed: u16,
    /// Number of these that have not seen the answer yet.
    left: u16,
    /// The place of the filter at work.
    at: u16,
    /// Values that filters keep; holds no memory until the first of them does.
    kept: Vec<Kept>,
}

/// A value that one filter keeps until the exchange ends.
struct Kept {
    /// The place of the filter.
    filter: u16,
    /// It is given back as soon as the answer is handed over.
    is_held: bool,
    value: Box<dyn Any>,
}

impl Passage {
    /// The filter at this place gets to work.
    pub(crate) fn enter(&mut self, place: u16) {
        self.at = place;
    }

    /// The filter at this place has let the request pass.
    pub(crate) fn pass(&mut self, place: u16) {
        self.passed = place + 1;
        self.left = self.passed;
    }

    /// The place of the next filter that sees the answer. Each sees an answer once, even if it
    /// fails.
    pub(crate) fn next_back(&mut self) -> Option<usize> {
        self.left = self.left.checked_sub(1)?;
        self.at = self.left;
        Some(self.left.into())
    }

    /// Returns true if there are filters that have not seen the answer.
    pub(crate) fn is_left(&self) -> bool {
        self.left > 0
    }

    /// Has all filters that saw the request see one more answer, in place of the one before.
    pub(crate) fn turn_back_again(&mut self) {
        self.left = self.passed;
    }

    /// The place of the filter at work.
    pub(crate) fn at(&self) -> usize {
        self.at.into()
    }

    /// The first value of this type, whoever keeps it.
    pub(super) fn find<T: 'static>(&self) -> Option<&T> {
        self.kept.iter().find_map(|kept| kept.value.downcast_ref())
    }

    /// The same, to change it.
    pub(super) fn find_mut<T: 'static>(&mut self) -> Option<&mut T> {
        self.kept
            .iter_mut()
            .find_map(|kept| kept.value.downcast_mut())
    }

    /// Drops what filters hold only until the answer is handed over.
    #[inline]
    pub(super) fn release(&mut self) {
        if !self.kept.is_empty() {
            self.kept.retain(|kept| !kept.is_held);
        }
    }

    fn place_of<T: 'static>(&self) -> Option<usize> {
        let mut kept = self.kept.iter();
        kept.position(|kept| kept.filter == self.at && kept.value.is::<T>())
    }
}

/// Values that a filter keeps. Each filter of a route has its own, even where two are of one type.
impl Exchange {
    /// Keeps a value for the filter at work until the exchange ends, in place of one of the
    /// same type. It is dropped with the exchange, also when the client leaves early.
    pub fn keep<T: 'static>(&mut self, value: T) {
        match self.kept_mut::<T>() {
            Some(kept) => *kept = value,
            None => self.push(value, false),
        }
    }

    /// Keeps a value as [`Self::keep`] does, but not longer than until the end of the answer is
    /// handed over to the client's connection.
    pub(crate) fn hold<T: 'static>(&mut self, value: T) {
        self.push(value, true);
    }

    fn push<T: 'static>(&mut self, value: T, is_held: bool) {
        self.passage.kept.push(Kept {
            filter: self.passage.at,
            is_held,
            value: Box::new(value),
        });
    }

    /// The value of this type that the filter at work keeps.
    pub fn kept<T: 'static>(&self) -> Option<&T> {
        let place = self.passage.place_of::<T>()?;
        self.passage.kept[place].value.downcast_ref()
    }

    /// The same, to change it.
    pub fn kept_mut<T: 'static>(&mut self) -> Option<&mut T> {
        let place = self.passage.place_of::<T>()?;
        self.passage.kept[place].value.downcast_mut()
    }

    /// Takes the value of this type that the filter at work keeps.
    pub fn take_kept<T: 'static>(&mut self) -> Option<T> {
        let place = self.passage.place_of::<T>()?;
        let kept = self.passage.kept.swap_remove(place);
        kept.value.downcast().ok().map(|value| *value)
    }
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Kept({})", self.filter)
    }
}
