//! TLS to clients, as a listener holds it.
//!
//! The settings name the files; their content is behind one swap. A connection keeps the content
//! that it was made with.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use arc_swap::ArcSwap;
use aws_lc_rs::digest;
use rustls::{RootCertStore, ServerConfig, server::NoServerSessionStorage};
use tokio_rustls::TlsAcceptor;

#[cfg(feature = "http3")]
use super::quic::QuicTls;
use super::{
    Renewal, TlsFault,
    certificate::{Certificate, KeyPair},
    challenge::{self, Challenges},
    file::Stamps,
    provider,
    revocation::RevocationLists,
    served_files::ServedFiles,
    sni::ByName,
    ticket::{TicketKeys, Tickets},
};

/// Settings of a listener's TLS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerSettings {
    /// The listener: session tickets are valid there only.
    pub listener: Arc<str>,
    /// The certificates; the first one is presented to clients that ask for no known name.
    pub certificates: Vec<KeyPair>,
    /// Certificate that a CA issues by itself; it stands behind the others.
    pub acme: Option<AcmeFile>,
    /// Client authentication; none: no certificate is requested.
    pub client_auth: Option<ClientAuth>,
    /// The oldest version accepted.
    pub minimum: MinimumVersion,
    /// HTTP/1.1 is offered.
    pub http1: bool,
    /// HTTP/2 is offered, and preferred.
    pub http2: bool,
    /// HTTP/3 is offered, over QUIC.
    pub http3: bool,
}

/// Certificate that a CA issues by itself.
#[derive(Clone, Debug)]
pub struct AcmeFile {
    /// File of certificate and key, as PEM. Missing until the certificate is issued; until then
    /// another one of its folder stands in for it, which has some of the names.
    pub path: PathBuf,
    /// The names that it will have.
    pub names: Vec<String>,
    /// Challenges of the CA that are answered on this listener.
    pub challenges: Option<Arc<Challenges>>,
}

impl PartialEq for AcmeFile {
    /// Challenges are the same in the whole process.
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
            && self.names == other.names
            && self.challenges.is_some() == other.challenges.is_some()
    }
}

impl Eq for AcmeFile {}

/// Authorities whose certificates are accepted, and whether a certificate is required.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientAuth {
    /// The authorities, as PEM.
    pub ca: PathBuf,
    /// Their revocation lists, as PEM; none: nothing is revoked.
    pub crl: Option<PathBuf>,
    /// A client without a certificate is refused.
    pub required: bool,
}

/// The oldest version of TLS accepted.
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

/// Content of the files, and the TLS configuration of connections made from it.
#[derive(Debug)]
struct Current {
    files: ServedFiles,
    config: Arc<ServerConfig>,
    /// The same for QUIC, where it is spoken.
    #[cfg(feature = "http3")]
    quic: Option<Arc<QuicTls>>,
}

impl ServerTls {
    /// Reads the files; blocks on the disk. Expired certificates are served nevertheless: the
    /// caller has decided that serving nothing would be worse.
    ///
    /// # Errors
    /// The first file that cannot be used.
    pub fn load(settings: ServerSettings, tickets: &Arc<TicketKeys>) -> Result<Self, TlsFault> {
        let files = ServedFiles::load(&settings)?;
        let current = Current::new(files, &settings, tickets)?;
        Ok(Self {
            tickets: Arc::clone(tickets),
            current: ArcSwap::from_pointee(current),
            settings,
        })
    }

    /// Takes the settings and reads no file: no handshake is possible with it.
    ///
    /// # Errors
    /// The refusal of the library.
    pub fn unread(settings: ServerSettings, tickets: &Arc<TicketKeys>) -> Result<Self, TlsFault> {
        let files = ServedFiles::default();
        let current = Current::new(files, &settings, tickets)?;
        Ok(Self {
            tickets: Arc::clone(tickets),
            current: ArcSwap::from_pointee(current),
            settings,
        })
    }

    /// Reads changed files again, for every new connection; blocks on the disk. Each certificate,
    /// and the authorities, are renewed separately: if one cannot be used or has expired, the old
    /// one stays in use.
    pub fn reload(&self) -> Renewal {
        let used = self.current.load();
        let mut renewal = Renewal::default();
        let files = used.files.renewed(&self.settings, &mut renewal);
        if let Some(current) =
            renewal.take_up(|| Current::new(files, &self.settings, &self.tickets))
        {
            self.current.store(Arc::new(current));
        }
        renewal
    }

    /// The settings that it was made from.
    pub fn settings(&self) -> &ServerSettings {
        &self.settings
    }

    /// Returns true if clients are asked for certificates.
    pub fn asks_clients(&self) -> bool {
        self.settings.client_auth.is_some()
    }

    /// Lists every file that it is read from.
    pub fn files(&self) -> Vec<&Path> {
        self.settings.files()
    }

    /// Returns the stamps of the files at the last successful read.
    pub fn stamps(&self) -> Stamps {
        self.current.load().files.stamps()
    }

    /// The certificates in use.
    pub fn certificates(&self) -> Vec<Arc<Certificate>> {
        self.current.load().files.certificates()
    }

    /// The revocation lists of clients in use.
    pub fn revocation_lists(&self) -> Option<Arc<RevocationLists>> {
        let current = self.current.load();
        let revoked = current.files.revoked.as_ref();
        revoked.map(|part| Arc::clone(&part.value))
    }

    /// The acceptor that makes the session of the next connection.
    pub fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.current.load().config))
    }

    /// The TLS of the next QUIC connection; none where HTTP/3 is not offered.
    #[cfg(feature = "http3")]
    pub(crate) fn quic(&self) -> Option<Arc<QuicTls>> {
        self.current.load().quic.clone()
    }
}

impl ServerSettings {
    fn files(&self) -> Vec<&Path> {
        let pairs = self.certificates.iter();
        let pairs = pairs.flat_map(KeyPair::paths);
        let issued = self.acme.iter().map(|acme| acme.path.as_path());
        let ca = self.client_auth.iter().map(|auth| auth.ca.as_path());
        let crl = self.crl().into_iter();
        pairs.chain(issued).chain(ca).chain(crl).collect()
    }

    pub(super) fn crl(&self) -> Option<&Path> {
        self.client_auth.as_ref()?.crl.as_deref()
    }
}

impl Current {
    fn new(
        files: ServedFiles,
        settings: &ServerSettings,
        tickets: &Arc<TicketKeys>,
    ) -> Result<Self, TlsFault> {
        let versions: &[_] = match settings.minimum {
            MinimumVersion::Tls12 => &[&rustls::version::TLS13, &rustls::version::TLS12],
            MinimumVersion::Tls13 => &[&rustls::version::TLS13],
        };
        let scope = scope(settings);
        let mut config = Self::config(&files, settings, tickets, versions, scope)?;
        config.alpn_protocols = alpn(settings);
        #[cfg(feature = "http3")]
        let quic = if settings.http3 {
            Some(Arc::new(Self::quic(&files, settings, tickets)?))
        } else {
            None
        };
        Ok(Self {
            files,
            config: Arc::new(config),
            #[cfg(feature = "http3")]
            quic,
        })
    }

    /// Makes the TLS of QUIC: version 1.3, and no early data, which another could send again.
    #[cfg(feature = "http3")]
    fn quic(
        files: &ServedFiles,
        settings: &ServerSettings,
        tickets: &Arc<TicketKeys>,
    ) -> Result<QuicTls, TlsFault> {
        let versions = &[&rustls::version::TLS13];
        let mut scope = scope(settings);
        scope.push(OVER_QUIC);
        let mut config = Self::config(files, settings, tickets, versions, scope)?;
        config.alpn_protocols = vec![b"h3".to_vec()];
        config.max_early_data_size = 0;
        QuicTls::new(config)
    }

    fn config(
        files: &ServedFiles,
        settings: &ServerSettings,
        tickets: &Arc<TicketKeys>,
        versions: &[&'static rustls::SupportedProtocolVersion],
        mut scope: Vec<u8>,
    ) -> Result<ServerConfig, TlsFault> {
        let builder =
            ServerConfig::builder_with_provider(provider()).with_protocol_versions(versions)?;
        let auth = settings.client_auth.as_ref();
        let builder = match auth.zip(files.authorities.as_ref()) {
            None => builder.with_no_client_auth(),
            Some((auth, authorities)) => {
                let authorities = &authorities.value;
                let revoked = files.revoked.as_ref().map(|part| &part.value);
                bind_to(&mut scope, &authorities.roots, revoked, auth);
                let verifier = authorities.of_clients(&auth.ca, auth.required, revoked)?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let challenges = settings.acme.as_ref().and_then(|it| it.challenges.clone());
        let by_name = ByName::new(&files.certificates()).answering(challenges);
        let mut config = builder.with_cert_resolver(Arc::new(by_name));
        // Sessions live in tickets: nothing to share between workers, nothing to fill up.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.ticketer = Arc::new(Tickets {
            keys: Arc::clone(tickets),
            scope,
            of_clients: auth.is_some(),
        });
        Ok(config)
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
    let acme = settings.acme.as_ref();
    if acme.is_some_and(|acme| acme.challenges.is_some()) {
        offered.push(challenge::PROTOCOL.to_vec());
    }
    offered
}

/// Returns the scope of the listener's tickets, apart from its client authentication.
fn scope(settings: &ServerSettings) -> Vec<u8> {
    let mut scope = settings.listener.as_bytes().to_vec();
    scope.push(0);
    scope
}

/// Binds the scope to the client authentication: a resumed session presents no certificate again,
/// so it must have been accepted by the same rule.
fn bind_to(
    scope: &mut Vec<u8>,
    roots: &RootCertStore,
    revoked: Option<&Arc<RevocationLists>>,
    auth: &ClientAuth,
) {
    let mut seen = digest::Context::new(&digest::SHA256);
    for root in &roots.roots {
        seen.update(root.subject.as_ref());
        seen.update(root.subject_public_key_info.as_ref());
    }
    if let Some(revoked) = revoked {
        revoked.digest(&mut seen);
    }
    scope.push(if auth.required { REQUIRED } else { OPTIONAL });
    scope.extend_from_slice(seen.finish().as_ref());
}

/// Marks in the scope of a ticket: client authentication, and sessions over QUIC.
const OPTIONAL: u8 = 1;
const REQUIRED: u8 = 2;
#[cfg(feature = "http3")]
const OVER_QUIC: u8 = 3;

#[cfg(test)]
mod tests;
