//! Bytes of a TCP connection that the other side has not acknowledged.
//!
//! A send buffer of the kernel holds up to 4 MiB, behind which a slow reader and one that has
//! stopped look the same. The kernel's list of connections shows the difference (`sock_diag(7)`); a
//! query takes some five system calls, so it is for timers that have run out and not for each
//! write.

use std::net::{IpAddr, SocketAddr};

use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink::SOCK_DIAG, recv, send,
    socket_with,
};

/// Send queue of a TCP connection, for code that does not hold its stream.
#[derive(Clone, Copy, Debug)]
pub struct SendQueue {
    pub(super) local: SocketAddr,
    pub(super) peer: SocketAddr,
}

impl SendQueue {
    /// Number of bytes in it that the other side has not acknowledged; none if the kernel does not
    /// tell. Costs several system calls: for timers that have run out.
    pub fn unsent(self) -> Option<u32> {
        unsent(self.local, self.peer)
    }
}

/// Number of unacknowledged bytes written to the connection between these addresses; none if the
/// kernel does not tell.
fn unsent(local: SocketAddr, peer: SocketAddr) -> Option<u32> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let asking = socket_with(
        AddressFamily::NETLINK,
        SocketType::DGRAM,
        flags,
        Some(SOCK_DIAG),
    )
    .ok()?;
    send(&asking, &question(local, peer), SendFlags::empty()).ok()?;
    let mut answer = [0_u8; ANSWER_BYTES];
    // The answer is there when the question has been sent.
    let (count, _) = recv(&asking, &mut answer[..], RecvFlags::empty()).ok()?;
    read(answer.get(..count)?)
}

/// A `nlmsghdr` with an `inet_diag_req_v2` for one connection.
fn question(local: SocketAddr, peer: SocketAddr) -> [u8; QUESTION_BYTES] {
    let mut question = [0_u8; QUESTION_BYTES];
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        question[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    let length = u32::try_from(QUESTION_BYTES).unwrap_or(u32::MAX);
    put(&length.to_ne_bytes());
    put(&BY_FAMILY.to_ne_bytes());
    put(&REQUEST.to_ne_bytes());
    // Number and sender of the message: there is only this one.
    put(&[0; 8]);
    let family = match local {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    put(&[family.as_raw().to_le_bytes()[0], TCP, 0, 0]);
    put(&EVERY_STATE.to_ne_bytes());
    put(&local.port().to_be_bytes());
    put(&peer.port().to_be_bytes());
    for address in [local.ip(), peer.ip()] {
        match address {
            IpAddr::V4(address) => {
                put(&address.octets());
                put(&[0; 12]);
            }
            IpAddr::V6(address) => put(&address.octets()),
        }
    }
    // Any interface, any cookie.
    put(&[0; 4]);
    put(&[0xff; 8]);
    question
}

/// Reads `idiag_wqueue` of an `inet_diag_msg`.
fn read(answer: &[u8]) -> Option<u32> {
    let kind = answer.get(4..6)?.try_into().ok()?;
    if u16::from_ne_bytes(kind) != BY_FAMILY {
        return None;
    }
    let queue = answer.get(WRITE_QUEUE..WRITE_QUEUE + 4)?.try_into().ok()?;
    Some(u32::from_ne_bytes(queue))
}

const QUESTION_BYTES: usize = 16 + 56;
const ANSWER_BYTES: usize = 512;
/// `SOCK_DIAG_BY_FAMILY`.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST`.
const REQUEST: u16 = 1;
/// `IPPROTO_TCP`.
const TCP: u8 = 6;
const EVERY_STATE: u32 = u32::MAX;
/// Offset after the header, four bytes, the addresses and two numbers.
const WRITE_QUEUE: usize = 16 + 4 + 48 + 8;

#[cfg(test)]
mod tests {
    use std::{
        io::{Read as _, Write as _},
        net::{TcpListener, TcpStream},
    };

    use super::*;

    fn left(stream: &TcpStream) -> Option<u32> {
        unsent(stream.local_addr().unwrap(), stream.peer_addr().unwrap())
    }

    #[test]
    fn what_the_other_side_takes_is_seen() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let mut ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
            let (mut theirs, _) = listener.accept().unwrap();
            assert_eq!(left(&ours), Some(0), "{address}");
            ours.set_nonblocking(true).unwrap();
            let mut written = 0;
            while let Ok(count) = ours.write(&[0; 64 * 1024]) {
                written += count;
            }
            let before = left(&ours).unwrap();
            assert!(before > 0, "{address}: all of {written} taken");
            let mut bytes = vec![0; written];
            theirs.read_exact(&mut bytes).unwrap();
            // The last acknowledgement is on its way.
            while left(&ours) != Some(0) {
                std::thread::yield_now();
            }
        }
    }
}
