//! Descriptors that go from one process to another over a unix socket (`SCM_RIGHTS`).
//!
//! Each message carries one byte and up to [`AT_ONCE`] descriptors. The kernel keeps the
//! descriptors beside the byte, so whoever receives must not read beyond what came before it.

use std::{
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
};

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Sends descriptors; the sender keeps its own.
///
/// # Errors
/// What the system says, such as that the peer is gone.
pub fn send(to: &UnixStream, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    for some in descriptors.chunks(AT_ONCE) {
        let mut space = [MaybeUninit::uninit(); SPACE];
        let mut beside = SendAncillaryBuffer::new(&mut space);
        if !beside.push(SendAncillaryMessage::ScmRights(some)) {
            return Err(io::Error::other("descriptors do not fit into a message"));
        }
        let byte = [IoSlice::new(&[BYTE])];
        rustix::io::retry_on_intr(|| sendmsg(to, &byte, &mut beside, SendFlags::NOSIGNAL))?;
    }
    Ok(())
}

/// Receives so many descriptors, which are closed on exec.
///
/// # Errors
/// What the system says, or that other descriptors came than were announced.
pub fn receive(from: &UnixStream, count: usize) -> io::Result<Vec<OwnedFd>> {
    let mut received = Vec::with_capacity(count);
    while received.len() < count {
        let mut space = [MaybeUninit::uninit(); SPACE];
        let mut beside = RecvAncillaryBuffer::new(&mut space);
        let mut byte = [0];
        let message = rustix::io::retry_on_intr(|| {
            let mut into = [IoSliceMut::new(&mut byte)];
            recvmsg(from, &mut into, &mut beside, RecvFlags::CMSG_CLOEXEC)
        })?;
        if message.bytes == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let before = received.len();
        for message in beside.drain() {
            if let RecvAncillaryMessage::ScmRights(some) = message {
                received.extend(some);
            }
        }
        let expected = (count - before).min(AT_ONCE);
        if received.len() - before != expected {
            return Err(io::Error::other(format!(
                "{} descriptors came where {expected} were announced; is the limit of open files \
                 reached?",
                received.len() - before
            )));
        }
    }
    Ok(received)
}

/// Descriptors in one message; the kernel takes 253 at most.
const AT_ONCE: usize = 64;
/// Room for them beside a message.
const SPACE: usize = rustix::cmsg_space!(ScmRights(AT_ONCE));
/// Payload of each message, as the kernel sends no descriptors without a byte.
const BYTE: u8 = 0;

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        os::fd::AsFd as _,
    };

    use super::*;

    #[test]
    fn more_descriptors_than_fit_into_a_message_arrive_in_order_behind_what_was_written() {
        let (mut one, mut two) = UnixStream::pair().unwrap();
        let files: Vec<_> = (0..AT_ONCE + 3).map(|_| io::pipe().unwrap()).collect();
        let ends: Vec<_> = files.iter().map(|(_, writer)| writer.as_fd()).collect();
        one.write_all(b"before").unwrap();
        send(&one, &ends).unwrap();
        one.write_all(b"after").unwrap();
        let mut text = [0; 6];
        two.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"before");
        let received = receive(&two, files.len()).unwrap();
        for (at, ((reader, _), writer)) in files.iter().zip(received).enumerate() {
            let at = u8::try_from(at).unwrap();
            io::PipeWriter::from(writer).write_all(&[at]).unwrap();
            let mut byte = [0];
            (&mut &*reader).read_exact(&mut byte).unwrap();
            assert_eq!(byte, [at]);
        }
        two.read_exact(&mut text[..5]).unwrap();
        assert_eq!(&text[..5], b"after");
    }

    #[test]
    fn fewer_than_announced_or_an_end_are_told() {
        let (mut one, two) = UnixStream::pair().unwrap();
        one.write_all(b"x").unwrap();
        let error = receive(&two, 1).unwrap_err();
        assert!(error.to_string().contains("were announced"), "{error}");
        drop(one);
        let error = receive(&two, 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
