//! Streams that wait for room in the outgoing bytes of their connection.

use std::{collections::VecDeque, rc::Rc};

use super::stream::{SharedStream, Stream};

/// Streams that wait for room, longest first: each at most once, and none that has ended. It is
/// bounded by the number of streams that the connection may have open.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    streams: VecDeque<SharedStream>,
}

impl Queue {
    /// Appends a stream, unless it waits already.
    pub(crate) fn push(&mut self, stream: &SharedStream) {
        if !stream.waiting.replace(true) {
            self.streams.push_back(Rc::clone(stream));
        }
    }

    /// Removes a stream, if it waits.
    #[inline]
    pub(crate) fn remove(&mut self, stream: &Stream) {
        if stream.waiting.get() {
            self.take_out(stream);
        }
    }

    #[cold]
    fn take_out(&mut self, stream: &Stream) {
        stream.waiting.set(false);
        self.streams.retain(|other| other.id != stream.id);
    }

    /// Wakes the first few; returns true if more are left.
    pub(crate) fn wake(&mut self) -> bool {
        for _ in 0..WOKEN_AT_ONCE {
            let Some(stream) = self.streams.pop_front() else {
                return false;
            };
            stream.waiting.set(false);
            stream.wake();
        }
        !self.streams.is_empty()
    }

    /// Forgets all of them.
    pub(crate) fn clear(&mut self) {
        self.streams.clear();
    }
}

/// Maximum number of waiting streams woken at once: more would rarely find room.
const WOKEN_AT_ONCE: usize = 4;

#[cfg(test)]
mod tests {
    use super::{super::stream::Arriving, *};
    use crate::http2::window::SendWindow;

    fn streams(count: u32) -> Vec<SharedStream> {
        let stream = |id| Rc::new(Stream::new(id, SendWindow::new(1), Arriving::new(1, None)));
        (0..count).map(stream).collect()
    }

    #[test]
    fn a_stream_that_is_over_is_not_kept_and_keeps_nobody_from_a_turn() {
        let (mut queue, streams) = (Queue::default(), streams(20));
        streams.iter().for_each(|stream| queue.push(stream));
        streams.iter().for_each(|stream| queue.push(stream));
        for stream in &streams[..8] {
            queue.remove(stream);
            queue.remove(stream);
        }
        let kept = streams.iter().filter(|stream| Rc::strong_count(stream) > 1);
        assert_eq!(kept.count(), 12);
        let mut turns = 1;
        while queue.wake() {
            turns += 1;
        }
        assert_eq!(turns, 3);
        assert!(streams.iter().all(|stream| !stream.waiting.get()));
    }
}
