//! Interim responses (1xx) on their way to the client: a bounded queue.
//!
//! An endpoint may send any number of them before its answer (RFC 9110 section 15.2), such as 103
//! Early Hints. The attempt queues them, and the client's connection writes them before anything
//! else, both in the same task.

use std::cell::{Cell, RefCell};

use http::StatusCode;

use crate::semantics::Headers;

/// Interim responses of the current exchange.
#[derive(Debug, Default)]
pub struct Interim {
    waiting: RefCell<Vec<(StatusCode, Headers)>>,
    /// Number of further interim responses that the exchange may pass on; none where they cannot be
    /// written.
    left: Cell<usize>,
    bytes_left: Cell<usize>,
}

impl Interim {
    /// Opens the queue for an exchange whose client understands interim responses.
    pub fn open(&self) {
        self.left.set(COUNT_MAX);
        self.bytes_left.set(BYTES_MAX);
    }

    /// Closes the queue: the final response has arrived, or the current client does not understand
    /// interim responses.
    pub fn close(&self) {
        self.left.set(0);
        self.waiting.borrow_mut().clear();
    }

    /// Queues one; false if it exceeds the limits, or would not be written.
    pub fn offer(&self, status: StatusCode, headers: Headers) -> bool {
        let bytes = headers.iter().map(|(name, value)| {
            let separators = 4;
            name.len() + value.as_bytes().len() + separators
        });
        let bytes = bytes.sum::<usize>();
        let (Some(left), Some(bytes_left)) = (
            self.left.get().checked_sub(1),
            self.bytes_left.get().checked_sub(bytes),
        ) else {
            return false;
        };
        self.left.set(left);
        self.bytes_left.set(bytes_left);
        self.waiting.borrow_mut().push((status, headers));
        true
    }

    /// Takes all queued ones, in order.
    pub fn take(&self) -> Vec<(StatusCode, Headers)> {
        self.waiting.take()
    }
}

/// Maximum number of interim responses that one exchange passes on.
const COUNT_MAX: usize = 8;
/// Maximum total size of their header fields in bytes.
const BYTES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use http::{HeaderValue, header};

    use super::*;

    fn link(length: usize) -> Headers {
        let value = HeaderValue::try_from("x".repeat(length)).unwrap();
        Headers::from_iter([(header::LINK, value)])
    }

    #[test]
    fn nothing_is_queued_for_a_client_that_would_not_understand() {
        let interim = Interim::default();
        assert!(!interim.offer(StatusCode::EARLY_HINTS, link(1)));
        interim.open();
        assert!(interim.offer(StatusCode::EARLY_HINTS, link(1)));
        interim.close();
        assert!(interim.take().is_empty());
        assert!(!interim.offer(StatusCode::EARLY_HINTS, link(1)));
    }

    #[test]
    fn count_and_bytes_are_bounded_for_the_exchange_and_not_for_the_moment() {
        let interim = Interim::default();
        interim.open();
        let taken = (0..20).filter(|_| {
            let taken = interim.offer(StatusCode::EARLY_HINTS, link(1));
            assert_eq!(interim.take().len(), usize::from(taken));
            taken
        });
        assert_eq!(taken.count(), COUNT_MAX);
        interim.open();
        assert!(interim.offer(StatusCode::EARLY_HINTS, link(BYTES_MAX - 100)));
        assert!(!interim.offer(StatusCode::EARLY_HINTS, link(100)));
        assert!(interim.offer(StatusCode::EARLY_HINTS, link(10)));
    }
}
