//! Bodies that are kept for another attempt, and their bound.

use std::task::Waker;

use bytes::Bytes;

use super::*;
use crate::semantics::BodyLength;

/// A body in one piece, of unknown length.
#[derive(Debug)]
struct Whole(Option<Bytes>);

impl BodySource for Whole {
    fn poll_frame(&mut self, _: &mut Context<'_>) -> PolledFrame {
        Poll::Ready(self.0.take().map(|bytes| Ok(Frame::Data(bytes))))
    }

    fn is_end(&self) -> bool {
        self.0.is_none()
    }

    fn length(&self) -> BodyLength {
        BodyLength::UNKNOWN
    }
}

fn hello() -> Option<Whole> {
    Some(Whole(Some(Bytes::from_static(b"hello"))))
}

fn all(upload: &mut Upload) -> Vec<u8> {
    let mut cx = Context::from_waker(Waker::noop());
    let mut bytes = Vec::new();
    while let Poll::Ready(Some(Ok(Frame::Data(data)))) = upload.poll_frame(&mut cx) {
        bytes.extend_from_slice(&data);
    }
    bytes
}

#[test]
fn a_small_body_can_be_sent_again() {
    let mut upload = Upload::new(hello(), Framing::Length(5), 5);
    assert_eq!(all(&mut upload), b"hello");
    assert!(upload.is_ended() && upload.can_rewind());
    upload.rewind();
    assert!(!upload.is_ended());
    assert_eq!(all(&mut upload), b"hello");
}

#[test]
fn a_body_that_is_taken_in_has_a_length() {
    let mut cx = Context::from_waker(Waker::noop());
    let mut upload = Upload::new(hello(), Framing::Chunked, 0);
    assert_eq!(upload.poll_measure(&mut cx, 5), Poll::Ready(Ok(true)));
    assert_eq!(upload.framing(), Framing::Length(5));
    assert_eq!(all(&mut upload), b"hello");
    let mut upload = Upload::new(hello(), Framing::Chunked, 0);
    assert_eq!(upload.poll_measure(&mut cx, 4), Poll::Ready(Ok(false)));
}

#[test]
fn what_came_before_there_was_a_connection_is_sent_as_often_as_the_rest() {
    let mut cx = Context::from_waker(Waker::noop());
    let mut upload = Upload::new(hello(), Framing::Length(5), 5);
    assert!(!upload.has_begun());
    for _ in 0..2 {
        assert_eq!(upload.poll_begun(&mut cx), Poll::Ready(Ok(())));
    }
    assert!(upload.has_begun() && upload.can_rewind() && !upload.is_ended());
    upload.rewind();
    for _ in 0..2 {
        assert_eq!(all(&mut upload), b"hello");
        assert!(upload.is_ended());
        upload.rewind();
    }
}

#[test]
fn a_body_beyond_the_bound_is_sent_once() {
    let mut upload = Upload::new(hello(), Framing::Length(5), 4);
    assert!(upload.can_rewind(), "nothing has been taken yet");
    assert_eq!(all(&mut upload), b"hello");
    assert!(!upload.can_rewind());
}
