//! The client as authentication knows him.

use super::Exchange;

/// Identity of a client that was authenticated.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identity {
    /// His name; none if the way in gives no name.
    pub(crate) user: Option<Box<str>>,
}

impl Exchange {
    /// The name of the client, once `auth` of the route has let him pass.
    pub fn user(&self) -> Option<&str> {
        self.identity.as_ref()?.user.as_deref()
    }

    /// Takes over what one more way of authentication knows of the client. What it does not know
    /// stays as it is.
    pub(crate) fn identify(&mut self, identity: Identity) {
        let known = self.identity.get_or_insert_default();
        if identity.user.is_some() {
            known.user = identity.user;
        }
    }
}
