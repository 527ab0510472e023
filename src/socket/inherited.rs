//! Listening sockets that the process inherits instead of opening them itself.
//!
//! A service manager that holds the sockets (systemd's socket activation, `sd_listen_fds(3)`) keeps
//! them through restarts, so that no connection is refused meanwhile, and may open ports that the
//! process itself may not. A listener uses the one with its address. They are kept to the end of
//! the process: a socket that one reload stops using may be used by a later one.

use std::{collections::HashMap, env, io, os::fd::IntoRawFd as _};

use listenfd::ListenFd;
use socket2::Socket;

use crate::config::value::BindAddress;

/// Inherited sockets, by their addresses.
#[derive(Debug, Default)]
pub struct Inherited {
    sockets: HashMap<BindAddress, Socket>,
    /// Sockets that could not be used, with the reasons, for a log that is not set up yet.
    remarks: Vec<String>,
}

impl Inherited {
    /// Takes the sockets named in the environment (`LISTEN_FDS`, `LISTEN_PID`), and removes the
    /// variables. Call it while the process has one thread only, and before it opens anything: a
    /// number that is too large would name descriptors of our own.
    pub fn from_environment() -> Self {
        let mut inherited = Self::default();
        match count() {
            Ok(0) => {}
            Ok(_) => inherited.take_all(ListenFd::from_env()),
            Err(remark) => inherited.remarks.push(remark),
        }
        inherited
    }

    /// Adds a socket that was given to the process before this one.
    pub fn add(&mut self, address: BindAddress, socket: Socket) {
        self.sockets.insert(address, socket);
    }

    /// All of them.
    pub fn sockets(&self) -> impl Iterator<Item = (&BindAddress, &Socket)> {
        self.sockets.iter()
    }

    fn take_all(&mut self, mut given: ListenFd) {
        for index in 0..given.len() {
            match take(&mut given, index) {
                Ok((address, socket)) => {
                    self.sockets.insert(address, socket);
                }
                Err(error) => {
                    let descriptor = FIRST_DESCRIPTOR + index;
                    self.remarks.push(format!(
                        "LISTEN_FDS names descriptor {descriptor}, which is not used: {error}"
                    ));
                }
            }
        }
    }

    /// Says in the log what could not be used.
    pub(crate) fn tell(&self) {
        for remark in &self.remarks {
            tracing::warn!("{remark}");
        }
    }

    /// Returns true if the socket at this address was inherited, so that this process must not
    /// remove it.
    pub fn holds(&self, address: &BindAddress) -> bool {
        self.sockets.contains_key(address)
    }

    /// Addresses of all of them.
    pub fn addresses(&self) -> impl Iterator<Item = &BindAddress> {
        self.sockets.keys()
    }

    /// Returns a handle to the socket at this address for each worker, which all use its one queue;
    /// none if no such socket was inherited.
    pub(crate) fn take(
        &self,
        address: &BindAddress,
        workers: usize,
    ) -> Option<io::Result<Vec<Socket>>> {
        let socket = self.sockets.get(address)?;
        Some((0..workers).map(|_| socket.try_clone()).collect())
    }
}

/// Number of descriptors given to this process, or the reason why they are not for it.
fn count() -> Result<usize, String> {
    let Some(written) = env::var_os("LISTEN_FDS") else {
        return Ok(0);
    };
    let count = written.to_str().and_then(|text| text.parse().ok());
    let count = count.filter(|count| *count <= DESCRIPTORS_MAX);
    let Some(count) = count else {
        return Err(format!(
            "LISTEN_FDS is {written:?}, not a number up to {DESCRIPTORS_MAX}: no sockets are taken"
        ));
    };
    let pid = std::process::id();
    match env::var("LISTEN_PID") {
        Ok(meant) if meant.parse() == Ok(pid) => Ok(count),
        Ok(meant) => Err(format!(
            "LISTEN_PID is {meant}, not {pid}: the sockets of LISTEN_FDS are for another process"
        )),
        Err(_) => Err("LISTEN_FDS without LISTEN_PID: no sockets are taken".to_owned()),
    }
}

fn take(given: &mut ListenFd, index: usize) -> io::Result<(BindAddress, Socket)> {
    let socket = match given.take_unix_listener(index) {
        Ok(listener) => listener.map(Socket::from),
        Err(_) => given.take_tcp_listener(index)?.map(Socket::from),
    };
    let socket = socket.ok_or_else(|| unusable("was given twice"))?;
    match prepare(&socket) {
        Ok(address) => Ok((address, socket)),
        Err(error) => {
            // It may be anybody's: it stays as it is.
            let _ = socket.into_raw_fd();
            Err(error)
        }
    }
}

fn prepare(socket: &Socket) -> io::Result<BindAddress> {
    if !socket.is_listener()? {
        return Err(unusable("does not listen"));
    }
    let name = socket.local_addr()?;
    let address = match name.as_socket() {
        Some(address) => {
            // Accepted sockets inherit it, as they do from sockets of our own.
            socket.set_tcp_nodelay(true)?;
            BindAddress::Tcp(address)
        }
        None => {
            let path = name.as_pathname().ok_or_else(|| unusable("has no path"))?;
            BindAddress::Unix(path.to_owned())
        }
    };
    socket.set_nonblocking(true)?;
    Ok(address)
}

fn unusable(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("the socket {why}"))
}

/// First descriptor that `LISTEN_FDS` counts, by the protocol.
const FIRST_DESCRIPTOR: usize = 3;
/// Maximum number of descriptors: more are a mistake.
const DESCRIPTORS_MAX: usize = 1024;
