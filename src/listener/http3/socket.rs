//! The UDP socket of a worker: datagrams for connections of other sockets are passed on to them, those
//! of other workers and those of another address with the same port.

use std::{
    io::{self, IoSliceMut},
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use quinn::{
    AsyncUdpSocket, UdpPoller,
    udp::{EcnCodepoint, RecvMeta, Transmit},
};

use super::connection_id::home_of;
use crate::socket::mailbox::{Datagram, Home, Mailboxes};

/// A socket, and the mailboxes of its listener.
#[derive(Debug)]
pub(super) struct WorkerSocket {
    socket: Arc<dyn AsyncUdpSocket>,
    worker: usize,
    home: Home,
    mailboxes: Arc<Mailboxes>,
}

impl WorkerSocket {
    pub(super) fn new(
        socket: Arc<dyn AsyncUdpSocket>,
        worker: usize,
        mailboxes: Arc<Mailboxes>,
    ) -> Self {
        Self {
            socket,
            worker,
            home: mailboxes.home(worker),
            mailboxes,
        }
    }

    /// Takes datagrams that others have received for this worker; returns their number.
    fn take_passed(
        &self,
        cx: &Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> usize {
        let mut taken = 0;
        for (into, about) in bufs.iter_mut().zip(meta) {
            let Some(datagram) = self.mailboxes.take(self.worker, cx) else {
                break;
            };
            let length = datagram.bytes.len().min(into.len());
            into[..length].copy_from_slice(&datagram.bytes[..length]);
            *about = RecvMeta {
                addr: datagram.from,
                len: length,
                stride: length.max(1),
                ecn: EcnCodepoint::from_bits(datagram.ecn),
                dst_ip: datagram.to,
            };
            taken += 1;
        }
        taken
    }

    /// Passes on what is for others, and returns the number of buffers that are left, in front.
    fn pass_on(
        &self,
        received: usize,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> usize {
        let mut kept = received;
        let mut at = 0;
        while at < kept {
            let about = meta[at];
            let bytes = &bufs[at][..about.len];
            let is_own = |datagram: &[u8]| match home_of(datagram) {
                Some(home) => home == self.home,
                None => self.mailboxes.accepts(),
            };
            if bytes.chunks(about.stride.max(1)).all(is_own) {
                at += 1;
                continue;
            }
            // One buffer may hold several datagrams of a client, for several connections.
            for datagram in bytes.chunks(about.stride.max(1)) {
                let passed = Datagram {
                    bytes: datagram.to_vec(),
                    from: about.addr,
                    to: about.dst_ip,
                    ecn: about.ecn.map_or(0, |ecn| ecn as u8),
                };
                match home_of(datagram) {
                    Some(home) => self.mailboxes.pass(home, passed),
                    None => self.mailboxes.pass_new(self.worker, passed),
                }
            }
            kept -= 1;
            bufs.swap(at, kept);
            meta.swap(at, kept);
        }
        kept
    }
}

impl AsyncUdpSocket for WorkerSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        Arc::clone(&self.socket).create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.socket.try_send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
        meta: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        loop {
            let passed = self.take_passed(cx, bufs, meta);
            if passed > 0 {
                return Poll::Ready(Ok(passed));
            }
            let received = ready!(self.socket.poll_recv(cx, bufs, meta))?;
            let kept = self.pass_on(received, bufs, meta);
            if kept > 0 {
                return Poll::Ready(Ok(kept));
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        self.socket.max_transmit_segments()
    }

    fn max_receive_segments(&self) -> usize {
        self.socket.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.socket.may_fragment()
    }
}
