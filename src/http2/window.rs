//! Flow control: limits of bytes in flight until the receiver allows more (RFC 9113 section 5.2).

use super::{Reason, frame::STREAM_MAX};

/// Bytes that may still be sent on a stream or connection. Negative after the receiver has reduced
/// its windows (section 6.9.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SendWindow(i64);

impl SendWindow {
    /// Makes a window of the size that the receiver announced.
    pub fn new(size: u32) -> Self {
        Self(i64::from(size))
    }

    /// Bytes that may be sent now.
    pub fn room(self) -> usize {
        usize::try_from(self.0).unwrap_or(0)
    }

    /// Counts bytes as sent; at most [`Self::room`].
    pub fn spend(&mut self, bytes: usize) {
        debug_assert!(bytes <= self.room(), "more than the window");
        self.0 -= i64::try_from(bytes).unwrap_or(i64::MAX);
    }

    /// Widens the window as the receiver allows; a change of its settings may narrow it.
    ///
    /// # Errors
    /// [`Reason::FlowControlError`] beyond 2^31 - 1 (section 6.9.1).
    pub fn widen(&mut self, by: i64) -> Result<(), Reason> {
        let wider = self.0.saturating_add(by);
        if wider > i64::from(STREAM_MAX) {
            return Err(Reason::FlowControlError);
        }
        self.0 = wider;
        Ok(())
    }
}

/// Bytes that the sender may still send to us, and consumed bytes that it has not been told of yet.
#[derive(Clone, Copy, Debug)]
pub struct ReceiveWindow {
    size: u32,
    left: u32,
    taken: u32,
}

impl ReceiveWindow {
    /// Makes a window of the size that the sender was told.
    pub fn new(size: u32) -> Self {
        Self {
            size,
            left: size,
            taken: 0,
        }
    }

    /// Returns true if the sender may send anything.
    pub fn has_room(self) -> bool {
        self.left > 0
    }

    /// Counts bytes as received.
    ///
    /// # Errors
    /// [`Reason::FlowControlError`] if these are more than were allowed.
    pub fn receive(&mut self, bytes: usize) -> Result<(), Reason> {
        let left = u32::try_from(bytes)
            .ok()
            .and_then(|bytes| self.left.checked_sub(bytes));
        self.left = left.ok_or(Reason::FlowControlError)?;
        Ok(())
    }

    /// Counts received bytes as consumed; returns the increment of the window, once it is worth a
    /// frame.
    pub fn release(&mut self, bytes: usize) -> Option<u32> {
        let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
        self.taken = self.taken.saturating_add(bytes);
        if self.taken < self.size / 2 {
            return None;
        }
        let increment = std::mem::take(&mut self.taken);
        self.left = self.left.saturating_add(increment);
        Some(increment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_of_ours_is_widened_when_half_of_it_was_taken() {
        let mut window = ReceiveWindow::new(100);
        window.receive(60).unwrap();
        assert_eq!(window.release(49), None);
        assert_eq!(window.release(1), Some(50));
        window.receive(90).unwrap();
        assert_eq!(window.receive(1), Err(Reason::FlowControlError));
        assert_eq!(window.release(100), Some(100));
        assert_eq!(window.receive(100), Ok(()));
    }

    #[test]
    fn a_window_of_theirs_may_be_below_zero_and_not_beyond_its_bound() {
        let mut window = SendWindow::new(10);
        window.spend(10);
        window.widen(-5).unwrap();
        assert_eq!(window.room(), 0);
        window.widen(6).unwrap();
        assert_eq!(window.room(), 1);
        window.widen(i64::from(STREAM_MAX) - 1).unwrap();
        assert_eq!(window.widen(1), Err(Reason::FlowControlError));
    }
}
