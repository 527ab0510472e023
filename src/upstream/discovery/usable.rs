//! A source without the endpoints that nobody can connect to.

use super::{BoxFuture, Discovery, DiscoveryError, Update};

/// Leaves out what no source should list: `0.0.0.0`, port 0, multicast addresses.
pub(super) struct Usable<D>(pub(super) D);

impl<D: Discovery> Discovery for Usable<D> {
    fn next(&mut self) -> BoxFuture<'_, Result<Update, DiscoveryError>> {
        Box::pin(async move {
            let update = self.0.next().await?;
            Ok(match update {
                Update::List(list) => Update::List(list.usable()),
                Update::Unchanged => Update::Unchanged,
            })
        })
    }
}
