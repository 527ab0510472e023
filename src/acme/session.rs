//! A session with a CA: its account, and an order from the challenges to the certificate.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use instant_acme::{
    Account, AccountCredentials, AuthorizationStatus, CertificateIdentifier, ChallengeType,
    ExternalAccountKey, Identifier, NewAccount, NewOrder, OrderStatus, RetryPolicy,
};
use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _};
use serde::Deserialize;
use serde_json::json;

use super::{AcmeError, Binding, Method, Order, schedule::Window, transport::Transport};
use crate::{
    config::value::base64url,
    tls::{Challenge, Challenges},
};

/// A session with a CA.
pub struct Session {
    account: Account,
    transport: Transport,
}

/// A certificate as the CA issued it, with the key that was made for it.
pub struct Issued {
    /// Key and chain, in one text.
    pub pem: String,
}

impl Session {
    /// Opens a session: with the account that was kept, else with a new one. Returns the record of
    /// the account if it is to be kept anew.
    ///
    /// # Errors
    /// The reason why there is no session, with the time before which the CA wants no other try.
    pub async fn open(
        order: &Order,
        kept: Option<&str>,
    ) -> Result<(Self, Option<String>), (AcmeError, Option<SystemTime>)> {
        let transport = Transport::new(order.ca.clone());
        let opened = open(order, kept, &transport).await;
        let (account, made) = opened.map_err(|error| (error, transport.retry_after()))?;
        Ok((Self { account, transport }, made))
    }

    /// Time before which the CA wants no other try.
    pub fn retry_after(&self) -> Option<SystemTime> {
        self.transport.retry_after()
    }

    /// Orders a certificate; it replaces `used`, if there is one. Cancel safe: the order is given
    /// up, and its challenges are answered no longer.
    ///
    /// # Errors
    /// The reason why it is not issued.
    pub async fn order(
        &self,
        order: &Order,
        used: Option<&str>,
        challenges: &Arc<Challenges>,
    ) -> Result<Issued, AcmeError> {
        let names = order.names.iter().cloned().map(Identifier::Dns);
        let names: Vec<Identifier> = names.collect();
        let used = used.and_then(first);
        let replaced = used.as_ref().and_then(identifier);
        let mut placed = match replaced {
            Some(replaced) => {
                let wanted = NewOrder::new(&names).replaces(replaced);
                match self.account.new_order(&wanted).await {
                    Ok(placed) => placed,
                    // The CA has no renewal information, or has seen it replaced.
                    Err(instant_acme::Error::Api(problem)) if !is_of_replacement(&problem) => {
                        return Err(AcmeError::problem(&problem));
                    }
                    Err(_) => self.account.new_order(&NewOrder::new(&names)).await?,
                }
            }
            None => self.account.new_order(&NewOrder::new(&names)).await?,
        };
        let under_way = prove(&mut placed, order.method, challenges).await?;
        let ready = placed.poll_ready(&POLLS).await;
        if !matches!(ready, Ok(OrderStatus::Ready | OrderStatus::Valid)) {
            let told = refusal(&mut placed).await;
            return Err(match (told, ready) {
                (Some(told), _) => told,
                (None, Err(error)) => error.into(),
                (None, Ok(status)) => AcmeError::Refused(format!("the order is {status:?}")),
            });
        }
        drop(under_way);
        let (key, request) = request(&order.names)?;
        placed.finalize_csr(&request).await?;
        let chain = placed.poll_certificate(&POLLS).await?;
        Ok(Issued {
            pem: format!("{}{chain}", key.serialize_pem()),
        })
    }

    /// Asks when the CA wants a certificate to be renewed (RFC 9773), and when to ask again.
    ///
    /// # Errors
    /// The reason why it does not say; most CAs do not know the question.
    pub async fn window(&self, chain: &str) -> Result<(Window, Duration), AcmeError> {
        let unusable = || AcmeError::Unusable("it has no key identifier".to_owned());
        let leaf = first(chain).ok_or_else(unusable)?;
        let identifier = identifier(&leaf).ok_or_else(unusable)?;
        let (told, again) = self.account.renewal_info(&identifier).await?;
        let window = Window {
            start: told.suggested_window.start.unix_timestamp(),
            end: told.suggested_window.end.unix_timestamp(),
        };
        Ok((window, again))
    }
}

async fn open(
    order: &Order,
    kept: Option<&str>,
    transport: &Transport,
) -> Result<(Account, Option<String>), AcmeError> {
    let builder = Account::builder_with_http(Box::new(transport.clone()));
    let contact: Vec<&str> = order.contact.iter().map(String::as_str).collect();
    let kept = kept.and_then(|text| serde_json::from_str::<Record>(text).ok());
    if let Some(kept) = kept {
        let changed = match kept.contact == order.contact {
            true => None,
            false => Some(record(order, &kept.credentials)?),
        };
        let account = builder.from_credentials(kept.credentials).await?;
        if changed.is_some() {
            account.update_contacts(&contact).await?;
        }
        return Ok((account, changed));
    }
    let wanted = NewAccount {
        contact: &contact,
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let bound = order.binding.as_ref().map(binding).transpose()?;
    let directory = order.directory.to_string();
    let made = builder.create(&wanted, directory, bound.as_ref()).await?;
    let (account, credentials) = made;
    let made = record(order, &credentials)?;
    Ok((account, Some(made)))
}

/// An account as it is kept.
#[derive(Deserialize)]
struct Record {
    /// The address that the CA knows.
    contact: Option<String>,
    credentials: AccountCredentials,
}

fn record(order: &Order, credentials: &AccountCredentials) -> Result<String, AcmeError> {
    let credentials = serde_json::to_value(credentials);
    let credentials = credentials.map_err(|error| AcmeError::State(error.to_string()))?;
    Ok(json!({ "contact": order.contact, "credentials": credentials }).to_string())
}

fn binding(binding: &Binding) -> Result<ExternalAccountKey, AcmeError> {
    let key = binding.key.reveal();
    let key = key.map_err(|error| AcmeError::State(format!("eab.key: {error}")))?;
    let key = base64url::decode(key.trim_end_matches('=').as_bytes());
    let key = key.ok_or_else(|| AcmeError::State("eab.key is not Base64 for URLs".to_owned()))?;
    Ok(ExternalAccountKey::new(binding.key_id.clone(), &key))
}

/// Begins to answer the challenges of an order, and tells the CA.
async fn prove(
    placed: &mut instant_acme::Order,
    method: Method,
    challenges: &Arc<Challenges>,
) -> Result<Vec<Challenge>, AcmeError> {
    let (kind, word) = match method {
        Method::Http01 => (ChallengeType::Http01, "http-01"),
        Method::TlsAlpn01 => (ChallengeType::TlsAlpn01, "tls-alpn-01"),
    };
    let mut under_way = Vec::new();
    let mut authorizations = placed.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization?;
        if authorization.status != AuthorizationStatus::Pending {
            continue;
        }
        let name = authorization.identifier().to_string();
        let Some(mut challenge) = authorization.challenge(kind.clone()) else {
            return Err(AcmeError::NoChallenge {
                name,
                challenge: word,
            });
        };
        let proof = challenge.key_authorization();
        under_way.push(match method {
            Method::Http01 => challenges.answer_text(&challenge.token, proof.as_str()),
            Method::TlsAlpn01 => {
                let (certificate, key) = verifier_certificate(&name, proof.digest().as_ref())?;
                let answered = challenges.answer_certificate(&name, certificate, key);
                answered.map_err(|fault| AcmeError::Unusable(fault.to_string()))?
            }
        });
        challenge.set_ready().await?;
    }
    Ok(under_way)
}

/// Returns the CA's words about the first challenge that failed.
async fn refusal(placed: &mut instant_acme::Order) -> Option<AcmeError> {
    let mut authorizations = placed.authorizations();
    while let Some(Ok(mut authorization)) = authorizations.next().await {
        let name = authorization.identifier().to_string();
        let Ok(state) = authorization.refresh().await else {
            continue;
        };
        let problems = state.challenges.iter().filter_map(|it| it.error.as_ref());
        if let Some(problem) = problems.into_iter().next() {
            return Some(match AcmeError::problem(problem) {
                AcmeError::Refused(told) => AcmeError::Refused(format!("{name}: {told}")),
                other => other,
            });
        }
    }
    None
}

/// Makes a key, and the request for a certificate of it.
fn request(names: &[String]) -> Result<(KeyPair, Vec<u8>), AcmeError> {
    let made = || -> Result<_, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = DistinguishedName::new();
        let request = params.serialize_request(&key)?;
        Ok((key, request.der().to_vec()))
    };
    made().map_err(|error| AcmeError::Unusable(error.to_string()))
}

/// Makes the certificate of TLS-ALPN-01 (RFC 8737 section 3).
fn verifier_certificate(
    name: &str,
    digest: &[u8],
) -> Result<(CertificateDer<'static>, PrivateKeyDer<'static>), AcmeError> {
    let made = || -> Result<_, rcgen::Error> {
        let key = KeyPair::generate()?;
        let mut params = CertificateParams::new([name.to_owned()])?;
        params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
        let certificate = params.self_signed(&key)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der());
        Ok((certificate.der().clone(), key.into()))
    };
    made().map_err(|error| AcmeError::Unusable(error.to_string()))
}

/// Returns the first certificate of a text.
fn first(pem: &str) -> Option<CertificateDer<'static>> {
    CertificateDer::pem_slice_iter(pem.as_bytes()).next()?.ok()
}

fn identifier<'a>(leaf: &'a CertificateDer<'a>) -> Option<CertificateIdentifier<'a>> {
    CertificateIdentifier::try_from(leaf).ok()
}

/// Returns true if a CA refuses an order because of the certificate that it replaces.
fn is_of_replacement(problem: &instant_acme::Problem) -> bool {
    let kind = problem.r#type.as_deref().unwrap_or_default();
    kind.ends_with(":alreadyReplaced") || kind.ends_with(":malformed")
}

/// Waits for the CA: it verifies the names itself, which takes seconds.
const POLLS: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(500))
    .backoff(1.5)
    .timeout(Duration::from_secs(120));
