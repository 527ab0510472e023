//! The connection of the two processes: messages as JSON behind their length, and descriptors.
//!
//! Blocks, so it belongs on a thread of its own; each step ends at its deadline.

use std::{
    io::{self, Read as _, Write as _},
    os::{
        fd::{BorrowedFd, OwnedFd},
        unix::net::UnixStream,
    },
    time::Duration,
};

use serde::{Serialize, de::DeserializeOwned};
use tokio::time::Instant;

use crate::socket::passing;

/// One end of the connection.
#[derive(Debug)]
pub(super) struct Link(UnixStream);

impl Link {
    pub(super) fn new(stream: UnixStream) -> Self {
        Self(stream)
    }

    /// Sends a message.
    pub(super) fn send<T: Serialize>(&mut self, message: &T, deadline: Instant) -> io::Result<()> {
        let text = serde_json::to_vec(message)?;
        let length = u32::try_from(text.len()).ok();
        let length = length.filter(|length| *length <= LENGTH_MAX);
        let length = length.ok_or_else(|| too_long(text.len()))?;
        for mut rest in [&length.to_be_bytes()[..], &text] {
            while !rest.is_empty() {
                self.0.set_write_timeout(Some(left(deadline)?))?;
                match self.0.write(rest) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(written) => rest = &rest[written..],
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(told(error)),
                }
            }
        }
        Ok(())
    }

    /// Receives a message; without a deadline it waits for the end of the other process.
    pub(super) fn receive<T: DeserializeOwned>(
        &mut self,
        deadline: Option<Instant>,
    ) -> io::Result<T> {
        let mut length = [0; 4];
        self.read(&mut length, deadline)?;
        let length = u32::from_be_bytes(length);
        if length > LENGTH_MAX {
            return Err(too_long(length as usize));
        }
        let mut text = Vec::new();
        // As it comes: an announced length alone takes no memory.
        let mut piece = [0; 16 * 1024];
        while text.len() < length as usize {
            let room = piece.len().min(length as usize - text.len());
            self.read(&mut piece[..room], deadline)?;
            text.extend_from_slice(&piece[..room]);
        }
        // The error is not passed on: it may show what stands in the message.
        serde_json::from_slice(&text)
            .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the message is malformed"))
    }

    pub(super) fn send_descriptors(&self, descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
        passing::send(&self.0, descriptors).map_err(told)
    }

    pub(super) fn receive_descriptors(
        &self,
        count: usize,
        deadline: Instant,
    ) -> io::Result<Vec<OwnedFd>> {
        if count > DESCRIPTORS_MAX {
            return Err(io::Error::other(format!(
                "{count} descriptors are too many"
            )));
        }
        self.0.set_read_timeout(Some(left(deadline)?))?;
        passing::receive(&self.0, count).map_err(told)
    }

    fn read(&mut self, mut into: &mut [u8], deadline: Option<Instant>) -> io::Result<()> {
        while !into.is_empty() {
            self.0.set_read_timeout(deadline.map(left).transpose()?)?;
            match self.0.read(into) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => into = &mut into[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(told(error)),
            }
        }
        Ok(())
    }
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    // A timeout of zero would mean none at all.
    (!left.is_zero())
        .then_some(left)
        .ok_or_else(|| io::ErrorKind::TimedOut.into())
}

/// Translates the error by which the system reports a timeout of a socket.
fn told(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    }
}

fn too_long(length: usize) -> io::Error {
    io::Error::other(format!("a message of {length} bytes is too long"))
}

/// Longer messages are refused; 10,000 series and endpoints need a few MiB.
const LENGTH_MAX: u32 = 64 << 20;
/// More descriptors than anybody has listening sockets.
const DESCRIPTORS_MAX: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (Link, Link) {
        let (one, two) = UnixStream::pair().unwrap();
        (Link::new(one), Link::new(two))
    }

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(5)
    }

    #[test]
    fn long_messages_arrive_whole() {
        let (mut one, mut two) = pair();
        let text = "x".repeat(3_000_000);
        let sent = text.clone();
        let sending = std::thread::spawn(move || one.send(&sent, soon()).unwrap());
        assert_eq!(two.receive::<String>(Some(soon())).unwrap(), text);
        sending.join().unwrap();
        let end = two.receive::<String>(None).unwrap_err();
        assert_eq!(end.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn who_says_or_takes_nothing_is_waited_for_until_the_deadline_only() {
        let (mut one, mut two) = pair();
        let deadline = || Instant::now() + Duration::from_millis(20);
        let error = two.receive::<String>(Some(deadline())).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let error = two.receive_descriptors(1, deadline()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let text = "x".repeat(3_000_000);
        let error = one.send(&text, deadline()).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    }

    #[test]
    fn an_absurd_length_and_nonsense_are_refused() {
        let (one, mut two) = pair();
        (&one.0).write_all(&u32::MAX.to_be_bytes()).unwrap();
        let error = two.receive::<String>(Some(soon())).unwrap_err();
        assert!(error.to_string().contains("too long"), "{error}");
        let (one, mut two) = pair();
        (&one.0).write_all(&[0, 0, 0, 2, b'{', b'x']).unwrap();
        assert!(two.receive::<String>(Some(soon())).is_err());
    }
}
