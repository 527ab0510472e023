//! Verifies the certificates of clients: their chain, their revocation lists, and those that are
//! trusted themselves. Whom it refuses is noted for the log.

use std::{cell::Cell, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, RootCertStore,
    SignatureScheme,
    client::danger::HandshakeSignatureValid,
    server::danger::{ClientCertVerified, ClientCertVerifier},
};
use rustls_pki_types::{CertificateDer, UnixTime};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{RevocationLists, provider, refusal, revocation::Standing};

/// Verifier of clients.
#[derive(Debug)]
pub(super) struct OfClients {
    /// Verifies all but revocation.
    pub(super) chains: Arc<dyn ClientCertVerifier>,
    pub(super) roots: Arc<RootCertStore>,
    pub(super) revoked: Option<Arc<RevocationLists>>,
    /// Certificates that are trusted themselves.
    pub(super) exact: Arc<[CertificateDer<'static>]>,
}

impl OfClients {
    /// Finds a chain to an authority that the lists leave.
    fn verify(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Cause> {
        let by_chain = match &self.revoked {
            None => self.verify_chain(end_entity, intermediates, now),
            Some(lists) => self.verify_listed(lists, end_entity, intermediates, now),
        };
        if by_chain.is_ok() || !self.exact.contains(end_entity) {
            return by_chain;
        }
        let revoked = self.revoked.as_ref();
        if revoked.is_some_and(|lists| lists.revokes(end_entity)) {
            return Err(Cause::Listed(Standing::Revoked));
        }
        check_time(end_entity, now).map_err(Cause::Library)
    }

    fn verify_chain(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Cause> {
        let verified = self
            .chains
            .verify_client_cert(end_entity, intermediates, now);
        verified.map(|_| ()).map_err(Cause::Library)
    }

    /// Verifies a chain, with lists that are chosen by the key of each issuer: the library takes the
    /// first list of a name.
    fn verify_listed(
        &self,
        lists: &RevocationLists,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<(), Cause> {
        let Ok(certificate) = EndEntityCert::try_from(end_entity) else {
            return Err(Cause::Library(CertificateError::BadEncoding.into()));
        };
        let worst = Cell::new(None);
        let judge = |path: &VerifiedPath<'_>| {
            lists.judge(path).map_err(|standing| {
                worst.set(worst.get().max(Some(standing)));
                webpki::Error::UnknownRevocationStatus
            })
        };
        let verified = certificate.verify_for_usage(
            provider().signature_verification_algorithms.all,
            &self.roots.roots,
            intermediates,
            now,
            KeyUsage::client_auth(),
            None,
            Some(&judge),
        );
        match (verified, worst.get()) {
            (Ok(_), _) => Ok(()),
            (Err(_), Some(standing)) => Err(Cause::Listed(standing)),
            // The same without lists, for its words; should it find a chain, it has not been judged.
            (Err(_), None) => self
                .verify_chain(end_entity, intermediates, now)
                .and(Err(Cause::Listed(Standing::Unlisted))),
        }
    }
}

/// Causes of a refusal.
enum Cause {
    Library(Error),
    Listed(Standing),
}

impl ClientCertVerifier for OfClients {
    fn offer_client_auth(&self) -> bool {
        self.chains.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.chains.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.chains.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.verify(end_entity, intermediates, now);
        verified
            .map(|()| ClientCertVerified::assertion())
            .map_err(|cause| {
                let (error, why) = match cause {
                    Cause::Library(error) => (error, None),
                    Cause::Listed(Standing::Revoked) => {
                        (CertificateError::Revoked.into(), Some(Standing::Revoked))
                    }
                    Cause::Listed(standing) => (
                        CertificateError::UnknownRevocationStatus.into(),
                        Some(standing),
                    ),
                };
                refusal::note(end_entity, why, &error);
                error
            })
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let chains = &self.chains;
        let verified = chains.verify_tls12_signature(message, certificate, signed);
        verified.inspect_err(|_| refusal::note_foreign_key(certificate))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let chains = &self.chains;
        let verified = chains.verify_tls13_signature(message, certificate, signed);
        verified.inspect_err(|_| refusal::note_foreign_key(certificate))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chains.supported_verify_schemes()
    }
}

/// Checks the validity of a certificate that is trusted itself.
pub(super) fn check_time(certificate: &CertificateDer<'_>, now: UnixTime) -> Result<(), Error> {
    let (_, parsed) =
        X509Certificate::from_der(certificate).map_err(|_| CertificateError::BadEncoding)?;
    let now = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
    let validity = parsed.validity();
    if now < validity.not_before.timestamp() {
        return Err(CertificateError::NotValidYet.into());
    }
    if now > validity.not_after.timestamp() {
        return Err(CertificateError::Expired.into());
    }
    Ok(())
}
