//! Upstream connections that belong to a client once it has authenticated them.

use std::rc::Rc;

use super::{
    super::{Downstream, Outbound},
    Reuse, Sending,
};
use crate::{http1::ResponseHead, semantics::connection_auth, upstream::pinned::Pinned};

impl Sending {
    /// Reserves the connection for its client from the exchange on that may authenticate it;
    /// returns the client.
    pub(super) fn reserve(
        &self,
        request: &Outbound<'_>,
        head: &ResponseHead,
        client: &dyn Downstream,
    ) -> Option<Rc<Pinned>> {
        let claimed = connection_auth::claims(request.headers)
            || connection_auth::challenges(&head.headers)
            || self.connection.reuse() == Reuse::ByItsClient;
        if !claimed || self.connection.reuse() == Reuse::Never {
            return None;
        }
        let pinned = client
            .pinned()
            .map(|pinned| pinned.get_or_init(Rc::default));
        self.connection.restrict(match pinned {
            Some(_) => Reuse::ByItsClient,
            None => Reuse::Never,
        });
        pinned.cloned()
    }
}
