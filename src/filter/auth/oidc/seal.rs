//! Sealed texts that a browser carries and cannot read or change.
//!
//! The keys come from the secrets of the configuration, the first of which seals; all of them open,
//! so that a secret can be replaced without ending sessions. A text is bound to its purpose and to
//! the provider and client that it is for.

use crate::{config::value::base64url, seal::SealKey};

/// Keys that texts are sealed with.
#[derive(Debug)]
pub struct SealKeys {
    keys: Box<[SealKey]>,
    /// Provider and client.
    owner: Box<str>,
}

/// Purpose of a sealed text: one of another purpose does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Session,
    Attempt,
}

impl SealKeys {
    /// Derives the keys of these secrets; none if the system has no keys for them.
    pub fn new<'a>(
        secrets: impl Iterator<Item = &'a str>,
        issuer: &str,
        client_id: &str,
    ) -> Option<Self> {
        let keys: Option<Box<[_]>> = secrets.map(derive).collect();
        Some(Self {
            keys: keys?,
            // A line end stands in neither.
            owner: format!("{issuer}\n{client_id}\n").into(),
        })
    }

    /// Seals a text; none if there is no key.
    pub(super) fn seal(&self, purpose: Purpose, text: &[u8]) -> Option<String> {
        let key = self.keys.first()?;
        let sealed = key.seal(&self.bound_to(purpose), text.to_vec())?;
        Some(base64url::encode(&sealed))
    }

    /// Opens a text; none if it is none of these keys, this purpose and owner.
    pub(super) fn open(&self, purpose: Purpose, text: &[u8]) -> Option<Vec<u8>> {
        let sealed = base64url::decode(text)?;
        let bound_to = self.bound_to(purpose);
        let mut keys = self.keys.iter();
        keys.find_map(|key| key.open(&bound_to, sealed.clone()))
    }

    fn bound_to(&self, purpose: Purpose) -> Vec<u8> {
        let purpose = match purpose {
            Purpose::Session => "session",
            Purpose::Attempt => "attempt",
        };
        format!("{}{purpose}", self.owner).into_bytes()
    }
}

fn derive(secret: &str) -> Option<SealKey> {
    SealKey::derive(secret, b"sluicegate oidc", b"cookies")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = "an old secret of thirty-two bytes";
    const NEW: &str = "a new secret of thirty-two bytes.";

    fn keys(secrets: &[&str], client: &str) -> SealKeys {
        SealKeys::new(secrets.iter().copied(), "https://login.example", client).unwrap()
    }

    #[test]
    fn a_text_opens_for_its_owner_and_purpose_only() {
        let old = keys(&[OLD], "shop");
        let sealed = old.seal(Purpose::Session, b"anna").unwrap();
        let open = |keys: &SealKeys, purpose| keys.open(purpose, sealed.as_bytes());
        assert_eq!(open(&old, Purpose::Session).unwrap(), b"anna");
        assert_eq!(
            open(&keys(&[NEW, OLD], "shop"), Purpose::Session).unwrap(),
            b"anna"
        );
        assert_eq!(open(&old, Purpose::Attempt), None);
        assert_eq!(open(&keys(&[NEW], "shop"), Purpose::Session), None);
        assert_eq!(open(&keys(&[OLD], "other"), Purpose::Session), None);
        // No bit of it can be changed, and none left out.
        for at in 0..sealed.len() {
            let mut forged = sealed.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            assert_eq!(old.open(Purpose::Session, &forged), None, "{at}");
            assert_eq!(old.open(Purpose::Session, &sealed.as_bytes()[..at]), None);
        }
        assert_ne!(old.seal(Purpose::Session, b"anna").unwrap(), sealed);
    }
}
