//! Sockets of a configuration that is prepared beside the one in use.

use std::{collections::HashSet, sync::Arc};

#[cfg(feature = "http3")]
use super::quic::{self, BoundQuic};
use super::{prepared::Beside, steps};
use crate::{
    config::value::BindAddress,
    server::control::Control,
    socket::bind::{self, BindError, Bound},
    state::{Listener, Snapshot},
};

/// A listener with its sockets.
pub(super) type BoundListener = (Arc<Listener>, Bound);

/// Sockets of listeners that are new, and UDP sockets of those that begin to speak HTTP/3.
#[derive(Debug)]
pub(crate) struct NewSockets {
    /// One per worker.
    bound: Vec<BoundListener>,
    #[cfg(feature = "http3")]
    quic: Vec<BoundQuic>,
}

impl NewSockets {
    /// Binds them beside those in use.
    pub(super) fn bind(
        snapshot: &Snapshot,
        last: Option<&Snapshot>,
        process: &Beside<'_>,
    ) -> Result<Self, (Arc<str>, BindError)> {
        let bound = bind_new(snapshot, last, process)?;
        Ok(Self {
            #[cfg(feature = "http3")]
            quic: quic::bind_new(snapshot, last, &bound, process)?,
            bound,
        })
    }

    /// Gives them to the workers.
    pub(crate) async fn listen(self, control: &Control) {
        steps::listen(&control.shared, self.bound).await;
        #[cfg(feature = "http3")]
        quic::listen(control, self.quic).await;
    }
}

/// Binds the sockets of new listeners, or takes those that were given or passed on.
fn bind_new(
    snapshot: &Snapshot,
    last: Option<&Snapshot>,
    process: &Beside<'_>,
) -> Result<Vec<BoundListener>, (Arc<str>, BindError)> {
    let workers = process.workers;
    let last = last.iter().flat_map(|last| &last.listeners);
    let known: HashSet<&BindAddress> = last.map(|listener| &listener.address).collect();
    let passed = process.passed.map(|it| it.addresses()).unwrap_or_default();
    // Also those that the process before this one listens on: it shares them.
    let mut ours: Vec<&BindAddress> = known.iter().copied().chain(&passed).collect();
    let new = snapshot
        .listeners
        .iter()
        .filter(|it| !known.contains(&it.address));
    new.map(|listener| {
        let address = &listener.address;
        let bound = match process.inherited.take(address, workers) {
            Some(taken) => match taken {
                Ok(sockets) => Ok(Bound {
                    sockets,
                    address: address.clone(),
                    // Who gave the socket keeps its file.
                    file: None,
                }),
                Err(source) => Err(BindError::Other {
                    address: address.clone(),
                    source,
                }),
            },
            None => match take_passed(process, listener) {
                Ok(Some(bound)) => Ok(bound),
                Ok(None) => bind::bind(address, listener.socket, &ours, workers),
                Err(error) => Err(error),
            },
        };
        ours.push(address);
        bound
            .map(|bound| (Arc::clone(listener), bound))
            .map_err(|error| (Arc::clone(&listener.name), error))
    })
    .collect()
}

fn take_passed(process: &Beside<'_>, listener: &Listener) -> Result<Option<Bound>, BindError> {
    match process.passed {
        Some(passed) => passed.take(&listener.address, listener.socket, process.workers),
        None => Ok(None),
    }
}
