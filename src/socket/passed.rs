//! Listening sockets that another process of this program passes on, before it stops accepting.
//!
//! A listener that keeps its address takes them as they are, with all that waits in their
//! queues. What no listener takes is closed here; the other process still has it.

use std::{
    collections::HashMap,
    io,
    sync::{Mutex, MutexGuard, PoisonError},
};

use socket2::Socket;

use super::{
    bind::{self, BindError, BindOptions, Bound},
    file::{FileIdentity, FileLease, SocketFile},
};
use crate::config::value::BindAddress;

/// The sockets of one address.
#[derive(Debug)]
pub struct PassedSocket {
    /// One for each worker of the other process; of a unix socket, one.
    pub sockets: Vec<Socket>,
    /// Actual address; for port 0, with the port assigned.
    pub at: BindAddress,
    /// The file of a unix socket.
    pub file: Option<FileIdentity>,
}

/// The sockets by the addresses that were asked for, and which of them were taken.
#[derive(Debug, Default)]
pub struct Passed(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    sockets: HashMap<BindAddress, PassedSocket>,
    taken: Vec<BindAddress>,
    files: Vec<FileLease>,
}

impl Passed {
    /// These sockets.
    pub fn new(sockets: HashMap<BindAddress, PassedSocket>) -> Self {
        Self(Mutex::new(State {
            sockets,
            ..State::default()
        }))
    }

    /// The addresses that the sockets listen on.
    pub fn addresses(&self) -> Vec<BindAddress> {
        let state = self.lock();
        state.sockets.values().map(|it| it.at.clone()).collect()
    }

    /// The sockets at this address, one for each worker or more; none if they were not passed
    /// on, or if nobody could reach them, since the file of a unix socket has gone.
    ///
    /// # Errors
    /// What the system says.
    pub fn take(
        &self,
        address: &BindAddress,
        options: BindOptions,
        workers: usize,
    ) -> Result<Option<Bound>, BindError> {
        let mut state = self.lock();
        let Some(passed) = state.sockets.remove(address) else {
            return Ok(None);
        };
        let explain = |error| bind::explain(address, error);
        let bound = complete(passed, options, workers).map_err(explain)?;
        if let Some(bound) = &bound {
            state.taken.push(address.clone());
            state
                .files
                .extend(bound.file.as_ref().map(SocketFile::lease));
        }
        Ok(bound)
    }

    /// Closes what nobody has taken, and says what was taken.
    pub fn close_rest(&self) -> Vec<BindAddress> {
        let mut state = self.lock();
        state.sockets.clear();
        state.taken.clone()
    }

    /// Takes the files of the unix sockets that were taken, which the other process has let go.
    pub fn take_files(&self) {
        for file in self.lock().files.drain(..) {
            file.take();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Makes as many sockets as there are workers, or more: none may be lost, since connections
/// wait in it.
fn complete(
    passed: PassedSocket,
    options: BindOptions,
    workers: usize,
) -> io::Result<Option<Bound>> {
    let PassedSocket {
        mut sockets,
        at,
        file,
    } = passed;
    let mut kept = None;
    match &at {
        BindAddress::Tcp(tcp) => {
            while sockets.len() < workers {
                sockets.push(bind::listen_tcp(*tcp, options)?);
            }
        }
        BindAddress::Unix(path) => {
            let found = match file {
                Some(identity) => SocketFile::passed(path, identity)?,
                None => None,
            };
            let (Some(found), Some(socket)) = (found, sockets.pop()) else {
                return Ok(None);
            };
            kept = Some(found);
            let clones = (0..workers).map(|_| socket.try_clone());
            sockets = clones.collect::<io::Result<_>>()?;
        }
    }
    Ok(Some(Bound {
        sockets,
        address: at,
        file: kept,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(address: &BindAddress, bound: &Bound, one: bool) -> Passed {
        let sockets = bound.sockets.iter().map(|it| it.try_clone().unwrap());
        let socket = PassedSocket {
            sockets: sockets.take(if one { 1 } else { usize::MAX }).collect(),
            at: bound.address.clone(),
            file: bound.file.as_ref().map(|it| it.lease().identity),
        };
        Passed::new([(address.clone(), socket)].into())
    }

    #[test]
    fn with_more_or_fewer_workers_no_socket_is_lost() {
        let wanted = BindAddress::Tcp("127.0.0.1:0".parse().unwrap());
        let options = BindOptions::default();
        let bound = bind::bind(&wanted, options, &[], 3).unwrap();
        for (workers, sockets) in [(1, 3), (3, 3), (5, 5)] {
            let passed = passed(&wanted, &bound, false);
            let taken = passed.take(&wanted, options, workers).unwrap().unwrap();
            assert_eq!(taken.sockets.len(), sockets);
            assert_eq!(taken.address, bound.address);
            assert_eq!(passed.close_rest(), std::slice::from_ref(&wanted));
            assert!(passed.take(&wanted, options, 1).unwrap().is_none());
        }
    }

    #[test]
    fn a_unix_socket_whose_file_has_gone_is_made_anew() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let wanted = BindAddress::Unix(path.clone());
        let options = BindOptions::default();
        let bound = bind::bind(&wanted, options, &[], 2).unwrap();
        let taken = passed(&wanted, &bound, true)
            .take(&wanted, options, 3)
            .unwrap()
            .unwrap();
        assert_eq!(taken.sockets.len(), 3);
        drop(taken);
        assert!(path.exists(), "it is still the other's");
        std::fs::remove_file(&path).unwrap();
        let passed = passed(&wanted, &bound, true);
        assert!(passed.take(&wanted, options, 3).unwrap().is_none());
        assert!(passed.close_rest().is_empty());
    }
}
