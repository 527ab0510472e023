//! Connects to the address that answers first (RFC 8305, "Happy Eyeballs").
//!
//! The next address is tried when the one before failed, or has been silent for [`STAGGER`]; sooner
//! with many addresses or little time, so that each gets a part of the time. Attempts under way
//! continue: the first connection wins, the others are dropped.

use std::{
    future::{Future, poll_fn},
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use smallvec::SmallVec;
use tokio::{
    net::TcpStream,
    time::{Instant, Sleep, sleep_until},
};

/// Attempts at the addresses of one name.
pub(super) struct Race<'a> {
    /// Addresses not tried yet.
    ahead: &'a [SocketAddr],
    running: Vec<(SocketAddr, Connecting)>,
    /// Addresses that failed or were overtaken by another one.
    passed_over: SmallVec<[SocketAddr; 4]>,
    stagger: Duration,
    next: Pin<Box<Sleep>>,
    failure: Option<io::Error>,
}

type Connecting = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

impl<'a> Race<'a> {
    /// Makes a race with this much time for these addresses; more than [`ADDRESSES_MAX`] are
    /// ignored.
    pub(super) fn new(addresses: &'a [SocketAddr], left: Duration) -> Self {
        let ahead = &addresses[..addresses.len().min(ADDRESSES_MAX)];
        let share = left / u32::try_from(ahead.len().max(1)).unwrap_or(u32::MAX);
        Self {
            ahead,
            running: Vec::with_capacity(ahead.len()),
            passed_over: SmallVec::new(),
            stagger: share.clamp(STAGGER_MIN, STAGGER),
            next: Box::pin(sleep_until(Instant::now())),
            failure: None,
        }
    }

    /// Waits for the first connection.
    ///
    /// # Errors
    /// The error of the last address, when all have failed.
    pub(super) async fn run(&mut self) -> io::Result<TcpStream> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// Returns those that failed, or were begun before the one that won.
    pub(super) fn passed_over(&self) -> &[SocketAddr] {
        &self.passed_over
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<TcpStream>> {
        loop {
            if let Some(won) = self.poll_running(cx) {
                return Poll::Ready(Ok(won));
            }
            let due = self.running.is_empty() || self.next.as_mut().poll(cx).is_ready();
            match self.ahead.split_first() {
                Some((address, ahead)) if due => {
                    self.ahead = ahead;
                    let connecting = Box::pin(TcpStream::connect(*address));
                    self.running.push((*address, connecting));
                    self.next.as_mut().reset(Instant::now() + self.stagger);
                }
                None if self.running.is_empty() => {
                    let failure = self.failure.take();
                    let none = || io::Error::from(io::ErrorKind::NotFound);
                    return Poll::Ready(Err(failure.unwrap_or_else(none)));
                }
                _ => return Poll::Pending,
            }
        }
    }

    /// Removes failed attempts; the first that is connected wins.
    fn poll_running(&mut self, cx: &mut Context<'_>) -> Option<TcpStream> {
        let mut at = 0;
        while let Some((address, connecting)) = self.running.get_mut(at) {
            match connecting.as_mut().poll(cx) {
                Poll::Pending => at += 1,
                Poll::Ready(Ok(stream)) => {
                    let before = self.running.iter().take(at);
                    self.passed_over.extend(before.map(|(address, _)| *address));
                    return Some(stream);
                }
                Poll::Ready(Err(error)) => {
                    self.passed_over.push(*address);
                    self.failure = Some(error);
                    drop(self.running.remove(at));
                    // The next one need not wait.
                    self.next.as_mut().reset(Instant::now());
                }
            }
        }
        None
    }
}

/// Time that an address may be silent before the next one is tried as well.
const STAGGER: Duration = Duration::from_millis(250);
const STAGGER_MIN: Duration = Duration::from_millis(10);
/// Maximum number of addresses of a name tried for one connection.
const ADDRESSES_MAX: usize = 16;
