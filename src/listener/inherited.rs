//! Listening sockets that the process was given instead of opening them itself.
//!
//! A service manager that holds the sockets (systemd's socket activation, `sd_listen_fds(3)`)
//! keeps them through restarts, so no connection is refused meanwhile, and may open ports
//! that the process itself may not. A listener takes the one that has its address. They are
//! held to the end of the process: what one reload lets go of, another may want again.

use std::{collections::HashMap, io};

use listenfd::ListenFd;
use socket2::Socket;

use crate::state::BindAddress;

/// The sockets that the process was given, by their addresses.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: HashMap<BindAddress, Socket>,
}

impl Inherited {
    /// Takes over what the environment says (`LISTEN_FDS`, `LISTEN_PID`), which is then taken
    /// out of it. To be called while the process has one thread only.
    pub fn from_environment() -> Self {
        let mut given = ListenFd::from_env();
        let mut sockets = HashMap::new();
        for index in 0..given.len() {
            match take(&mut given, index) {
                Ok((address, socket)) => {
                    sockets.insert(address, socket);
                }
                Err(error) => {
                    tracing::warn!(index, %error, "cannot use an inherited file descriptor");
                }
            }
        }
        Self { sockets }
    }

    /// Whether the socket at this address was given, so that it is not ours to take away.
    pub fn holds(&self, address: &BindAddress) -> bool {
        self.sockets.contains_key(address)
    }

    /// The addresses of all.
    pub fn addresses(&self) -> impl Iterator<Item = &BindAddress> {
        self.sockets.keys()
    }

    /// A handle to the socket at this address for each worker, which all take from its one
    /// queue; none if no such socket was given.
    pub(crate) fn take(
        &self,
        address: &BindAddress,
        workers: usize,
    ) -> Option<io::Result<Vec<Socket>>> {
        let socket = self.sockets.get(address)?;
        Some((0..workers).map(|_| socket.try_clone()).collect())
    }
}

fn take(given: &mut ListenFd, index: usize) -> io::Result<(BindAddress, Socket)> {
    let (address, socket) = match given.take_unix_listener(index) {
        Ok(Some(listener)) => {
            let path = listener.local_addr()?;
            let path = path.as_pathname().ok_or_else(|| unusable("has no path"))?;
            (BindAddress::Unix(path.to_owned()), Socket::from(listener))
        }
        Ok(None) => return Err(unusable("was given twice")),
        Err(_) => {
            let listener = given.take_tcp_listener(index)?;
            let listener = listener.ok_or_else(|| unusable("was given twice"))?;
            let address = BindAddress::Tcp(listener.local_addr()?);
            let socket = Socket::from(listener);
            // Accepted sockets inherit it, as they do from sockets of our own.
            socket.set_tcp_nodelay(true)?;
            (address, socket)
        }
    };
    if !socket.is_listener()? {
        return Err(unusable("does not listen"));
    }
    socket.set_nonblocking(true)?;
    Ok((address, socket))
}

fn unusable(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("the socket {why}"))
}
