//! TLS towards clients: what a listener holds.
//!
//! The settings say which files; what was read from them is behind one swap. A
//! connection keeps what it was made with.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::SystemTime,
};

use arc_swap::ArcSwap;
use aws_lc_rs::digest;
use rustls::{
    RootCertStore, ServerConfig,
    server::{NoServerSessionStorage, WebPkiClientVerifier},
};
use tokio_rustls::TlsAcceptor;

use super::{
    certificate::{Certificate, KeyPair},
    file::{self, Stamps, TlsFault},
    provider,
    sni::ByName,
    ticket::{TicketKeys, Tickets},
};

/// What a listener's TLS is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// The listener: session tickets are good there only.
    pub listener: Arc<str>,
    /// The certificates; the first one is shown to clients that ask for no known name.
    pub certificates: Vec<KeyPair>,
    /// Who must, or may, show a certificate; none: nobody is asked.
    pub client_auth: Option<ClientAuth>,
    /// The oldest version spoken.
    pub minimum: MinimumVersion,
    /// HTTP/1.1 is offered.
    pub http1: bool,
    /// HTTP/2 is offered, and preferred.
    pub http2: bool,
}

/// Whose certificates are accepted, and whether there must be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAuth {
    /// The authorities, as PEM.
    pub ca: PathBuf,
    /// A client without a certificate is refused.
    pub required: bool,
}

/// The oldest version of TLS that is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MinimumVersion {
    /// TLS 1.2.
    Tls12,
    /// TLS 1.3.
    Tls13,
}

/// TLS of one listener.
#[derive(Debug)]
pub struct ServerTls {
    settings: ServerSettings,
    tickets: Arc<TicketKeys>,
    current: ArcSwap<Current>,
}

/// What was read from the files.
#[derive(Debug)]
struct Current {
    config: Arc<ServerConfig>,
    certificates: Vec<Arc<Certificate>>,
    stamps: Stamps,
}

impl ServerTls {
    /// Reads the files; blocks on the disk. What is past its time is served all the same:
    /// whoever asks for this has judged that nothing would be worse.
    ///
    /// # Errors
    /// The first file that is of no use.
    pub fn load(settings: ServerSettings, tickets: &Arc<TicketKeys>) -> Result<Self, TlsFault> {
        let current = Current::load(&settings, tickets)?;
        Ok(Self {
            tickets: Arc::clone(tickets),
            current: ArcSwap::from_pointee(current),
            settings,
        })
    }

    /// Reads the files again and makes what they hold the one for every new connection;
    /// blocks on the disk. What is past its time is refused, unless it is what is in use.
    ///
    /// # Errors
    /// The first file that is of no use; what was in use stays.
    pub fn reload(&self) -> Result<(), TlsFault> {
        let current = Current::load(&self.settings, &self.tickets)?;
        let used = self.current.load();
        let now = SystemTime::now();
        for (new, used) in current.certificates.iter().zip(&used.certificates) {
            if let Some(fault) = new.overdue_beside(Some(used), now) {
                return Err(fault);
            }
        }
        self.current.store(Arc::new(current));
        Ok(())
    }

    /// What it was made of.
    pub fn settings(&self) -> &ServerSettings {
        &self.settings
    }

    /// Whether clients are asked for certificates.
    pub fn asks_clients(&self) -> bool {
        self.settings.client_auth.is_some()
    }

    /// Every file that it is read from.
    pub fn files(&self) -> Vec<&Path> {
        self.settings.files()
    }

    /// What the files looked like when they were last read with success.
    pub fn stamps(&self) -> Stamps {
        self.current.load().stamps.clone()
    }

    /// The certificates in use.
    pub fn certificates(&self) -> Vec<Arc<Certificate>> {
        self.current.load().certificates.clone()
    }

    /// What makes a session of the next connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.current.load().config))
    }
}

impl ServerSettings {
    fn files(&self) -> Vec<&Path> {
        let pairs = self.certificates.iter();
        let pairs = pairs.flat_map(KeyPair::paths);
        let ca = self.client_auth.iter().map(|auth| auth.ca.as_path());
        pairs.chain(ca).collect()
    }
}

impl Current {
    fn load(settings: &ServerSettings, tickets: &Arc<TicketKeys>) -> Result<Self, TlsFault> {
        // Before the files are read: a change in between is then found by the next look.
        let stamps = Stamps::of(&settings.files());
        let certificates: Vec<Arc<Certificate>> = settings
            .certificates
            .iter()
            .map(|files| Certificate::load(files).map(Arc::new))
            .collect::<Result<_, _>>()?;
        let versions: &[_] = match settings.minimum {
            MinimumVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
            MinimumVersion::Tls13 => &[&rustls::version::TLS13],
        };
        let builder =
            ServerConfig::builder_with_provider(provider()).with_protocol_versions(versions)?;
        let mut scope = scope(settings);
        let builder = match &settings.client_auth {
            None => builder.with_no_client_auth(),
            Some(auth) => {
                let roots = file::roots(&auth.ca)?;
                bind_to(&mut scope, &roots, auth);
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(roots.into(), provider());
                let verifier = if auth.required {
                    verifier
                } else {
                    verifier.allow_unauthenticated()
                };
                let verifier = verifier.build().map_err(|error| TlsFault::Malformed {
                    path: auth.ca.clone(),
                    reason: error.to_string(),
                })?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_cert_resolver(Arc::new(ByName::new(&certificates)));
        config.alpn_protocols = alpn(settings);
        // Sessions live in tickets: nothing to share between workers, nothing to fill up.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = Arc::new(Tickets {
            keys: Arc::clone(tickets),
            scope,
        });
        Ok(Self {
            config: Arc::new(config),
            certificates,
            stamps,
        })
    }
}

fn alpn(settings: &ServerSettings) -> Vec<Vec<u8>> {
    let mut offered = Vec::new();
    if settings.http2 {
        offered.push(b"h2".to_vec());
    }
    if settings.http1 {
        offered.push(b"http/1.1".to_vec());
    }
    offered
}

/// What a ticket of the listener is bound to, apart from whom it lets in.
fn scope(settings: &ServerSettings) -> Vec<u8> {
    let mut scope = settings.listener.as_bytes().to_vec();
    scope.push(0);
    scope
}

/// A resumed session shows no certificate again: it must have been let in by the same rule.
fn bind_to(scope: &mut Vec<u8>, roots: &RootCertStore, auth: &ClientAuth) {
    let mut seen = digest::Context::new(&digest::SHA256);
    for root in &roots.roots {
        seen.update(root.subject.as_ref());
        seen.update(root.subject_public_key_info.as_ref());
    }
    scope.push(if auth.required { 2 } else { 1 });
    scope.extend_from_slice(seen.finish().as_ref());
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;
    use crate::tls::certificate::tests::written;

    #[test]
    fn a_bad_file_leaves_the_old_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let files = written(folder.path(), "a", &["a.example"]);
        let settings = ServerSettings {
            listener: "web".into(),
            certificates: vec![files.clone()],
            client_auth: None,
            minimum: MinimumVersion::Tls12,
            http1: true,
            http2: true,
        };
        let keys = Arc::new(TicketKeys::new(Instant::now()));
        let tls = ServerTls::load(settings, &keys).unwrap();
        let before = Arc::clone(&tls.current.load().config);
        std::fs::write(&files.key, "torn").unwrap();
        assert!(tls.reload().is_err());
        assert!(Arc::ptr_eq(&before, &tls.current.load().config));
        assert_ne!(tls.stamps(), Stamps::of(&tls.files()));
        written(folder.path(), "a", &["a.example"]);
        tls.reload().unwrap();
        assert!(!Arc::ptr_eq(&before, &tls.current.load().config));
        assert_eq!(tls.stamps(), Stamps::of(&tls.files()));
    }
}
