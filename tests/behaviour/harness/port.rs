//! Port numbers for processes that must know theirs before they start.
//!
//! Numbers lie below 32768, where the kernel never takes the source port of an
//! outgoing connection from. A file lock keeps parallel test processes apart,
//! a counter the tests of one process.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

/// A port of 127.0.0.1 that no other test uses while this lives.
pub(crate) struct Port {
    number: u16,
    /// Holds the lock; the kernel releases it when the process ends, for any reason.
    _lock: File,
}

impl Port {
    /// Takes a free one.
    pub(crate) fn take() -> Self {
        let folder = std::env::temp_dir().join("sluicegate-test-ports");
        fs::create_dir_all(&folder).expect("a folder for the port locks");
        for _ in 0..SPAN {
            let step = NEXT.fetch_add(1, Ordering::Relaxed);
            let offset = process::id().wrapping_mul(STRIDE).wrapping_add(step) % SPAN;
            let number = u16::try_from(FIRST + offset).expect("below 32768");
            let Ok(lock) = File::create(folder.join(number.to_string())) else {
                continue;
            };
            if lock.try_lock().is_err() {
                continue;
            }
            if TcpListener::bind((Ipv4Addr::LOCALHOST, number)).is_ok() {
                return Self {
                    number,
                    _lock: lock,
                };
            }
        }
        panic!("no free port between {FIRST} and {}", FIRST + SPAN);
    }

    /// The loopback address with this port.
    pub(crate) fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.number))
    }
}

static NEXT: AtomicU32 = AtomicU32::new(0);
const FIRST: u32 = 12_000;
const SPAN: u32 = 20_000;
/// Spreads neighbouring process ids over the span.
const STRIDE: u32 = 61;

#[test]
fn ports_are_free_and_not_given_twice() {
    let first = Port::take();
    let second = Port::take();
    assert_ne!(first.address(), second.address());
    assert!(TcpListener::bind(first.address()).is_ok());
}
