//! A provider: what it says of itself, and the requests for tokens to it.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, header};
use serde_json::Value;
use tokio::sync::Semaphore;

use super::{
    super::remote::{Remote, RemoteKeys},
    METADATA_REFRESH,
    ended::Ended,
    grants::Grants,
    metadata::Metadata,
};
use crate::{
    config::value::{HttpUrl, Secret},
    fetch::{Ask, Client, SharedTls, Target, encode},
    semantics::base64,
};

/// A provider, for all routes that use it; outlives reloads.
#[derive(Debug)]
pub struct Provider {
    /// Its name, as its tokens have it.
    issuer: Box<str>,
    ca: Option<PathBuf>,
    /// TLS of the requests for tokens.
    tls: SharedTls,
    /// Metadata that it gives of itself.
    metadata: Arc<Remote<Metadata>>,
    /// Requests for the tokens of a login, apart from renewals: who begins logins without end
    /// keeps no session from its renewal.
    pub(super) logins: Grants,
    /// Requests for new tokens of a session.
    pub(super) renewals: Grants,
    /// Revocations that are under way.
    revocations: Semaphore,
    /// True if the last revocation failed.
    keeps_tokens: AtomicBool,
    /// Sessions that have ended before their time.
    pub(super) ended: Ended,
}

/// A client of a provider.
#[derive(Debug)]
pub struct ProviderClient {
    /// The provider.
    pub provider: Arc<Provider>,
    /// Name of the client.
    pub id: Box<str>,
    /// Its secret, if it has one.
    pub secret: Option<Secret>,
    /// Time for one request.
    pub timeout: Duration,
}

/// Tokens that a provider has given.
#[derive(Debug)]
pub(super) struct Tokens {
    pub(super) id_token: Option<String>,
    pub(super) access_token: Option<String>,
    pub(super) refresh_token: Option<String>,
    /// Seconds for which they count.
    pub(super) expires_in: Option<u64>,
}

/// Reasons why there are no tokens.
#[derive(Clone, Debug, thiserror::Error)]
pub(super) enum NoTokens {
    /// The provider cannot be asked now.
    #[error("the provider cannot be asked: {0}")]
    Unavailable(String),
    /// It gives none for this.
    #[error("the provider refuses: {0}")]
    Refused(String),
}

impl Provider {
    /// Has no metadata yet; none if the issuer is no URL.
    pub fn new(issuer: &str, ca: Option<PathBuf>) -> Option<Self> {
        let mut url = HttpUrl::parse(issuer).ok()?;
        url.path = url.join("/.well-known/openid-configuration");
        Some(Self {
            issuer: issuer.into(),
            metadata: Arc::new(Remote::new(url, ca.clone(), METADATA_REFRESH)),
            ca,
            tls: SharedTls::default(),
            logins: Grants::new(LOGIN_PAUSE),
            renewals: Grants::new(RENEWAL_PAUSE),
            revocations: Semaphore::new(REVOCATIONS_MAX),
            keeps_tokens: AtomicBool::new(false),
            ended: Ended::default(),
        })
    }

    /// Its name.
    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// Document with its metadata, to be fetched.
    pub fn document(&self) -> &Arc<Remote<Metadata>> {
        &self.metadata
    }

    /// Reads what it says of itself.
    ///
    /// # Errors
    /// The member that is missing or wrong.
    pub fn read(&self, text: &str) -> Result<Metadata, String> {
        let known = self.metadata();
        Metadata::read(text, &self.issuer, self.ca.as_ref(), known.as_deref())
    }

    /// Keys of its tokens, once it has said where they are.
    pub(in super::super) fn keys(&self) -> Option<Arc<RemoteKeys>> {
        let metadata = self.metadata()?;
        Some(Arc::clone(&metadata.keys))
    }

    pub(super) fn metadata(&self) -> Option<Arc<Metadata>> {
        self.metadata.now()
    }
}

impl ProviderClient {
    /// Asks for tokens, as one of these requests. The parameters are those of the grant.
    pub(super) async fn tokens(
        &self,
        grants: &Grants,
        parameters: &[(&str, &str)],
    ) -> Result<Tokens, NoTokens> {
        let unavailable = |why: &str| NoTokens::Unavailable(why.to_owned());
        let Some(metadata) = self.provider.metadata() else {
            return Err(unavailable("it has not been reached yet"));
        };
        let Some(_place) = grants.place() else {
            return Err(unavailable("too many requests to it are under way"));
        };
        let answer = self.call(&metadata, &metadata.token, parameters).await;
        let answer = answer.map_err(|error| NoTokens::Unavailable(error.to_string()))?;
        let read: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let text = |name: &str| {
            let text = read.as_ref()?.get(name)?.as_str()?;
            Some(text.to_owned())
        };
        if answer.status.is_success() && read.is_some() {
            let seconds = read.as_ref().and_then(|read| read.get("expires_in"));
            return Ok(Tokens {
                id_token: text("id_token"),
                access_token: text("access_token"),
                refresh_token: text("refresh_token").filter(|it| !it.is_empty()),
                // Some write it as a text.
                expires_in: seconds.and_then(|it| match it {
                    Value::String(text) => text.parse().ok(),
                    other => other.as_u64(),
                }),
            });
        }
        let status = answer.status.as_u16();
        match text("error") {
            // It says that it is the client's fault; all else may pass.
            Some(error) if matches!(status, 400 | 401 | 403) => {
                let error = told(&error);
                Err(NoTokens::Refused(format!("{error} ({status})")))
            }
            _ => Err(NoTokens::Unavailable(format!("it answers {status}"))),
        }
    }

    /// Revokes a refresh token, if the provider does that (RFC 7009). A failure is logged: the
    /// token goes on until the provider ends it.
    pub(super) async fn revoke(&self, token: &str) {
        let provider = &self.provider;
        let Some(metadata) = provider.metadata() else {
            return;
        };
        let Some(url) = &metadata.revocation else {
            return;
        };
        let failed = match provider.revocations.try_acquire() {
            Err(_) => Some("too many are under way".to_owned()),
            Ok(_place) => {
                let form = [("token", token), ("token_type_hint", "refresh_token")];
                match self.call(&metadata, url, &form).await {
                    Ok(answer) if answer.status.is_success() => None,
                    Ok(answer) => Some(format!("it answers {}", answer.status.as_u16())),
                    Err(error) => Some(error.to_string()),
                }
            }
        };
        let had_failed = provider
            .keeps_tokens
            .swap(failed.is_some(), Ordering::Relaxed);
        match failed {
            Some(cause) if !had_failed => {
                tracing::warn!(%url, %cause, "a logout has not revoked its refresh token; further failures are not told");
            }
            None if had_failed => tracing::info!(%url, "refresh tokens are revoked again"),
            Some(_) | None => {}
        }
    }

    async fn call(
        &self,
        metadata: &Metadata,
        url: &HttpUrl,
        parameters: &[(&str, &str)],
    ) -> Result<crate::fetch::Answer, crate::fetch::FetchError> {
        let target = Target {
            url: url.clone(),
            ca: self.provider.ca.clone(),
            secrets: Vec::new(),
        };
        let secret = self.secret.as_ref().and_then(|secret| secret.reveal().ok());
        let mut form = form_of(parameters);
        let mut ask = Ask::new(Method::POST, url.path.clone());
        match secret {
            Some(secret) if !metadata.secret_in_body => {
                let pair = format!("{}:{}", encode(&self.id), encode(secret));
                let value = format!("Basic {}", base64::encode(pair.as_bytes()));
                if let Ok(mut value) = HeaderValue::try_from(value) {
                    value.set_sensitive(true);
                    ask = ask.with(header::AUTHORIZATION, value);
                }
            }
            Some(secret) => {
                form = format!(
                    "{form}&{}",
                    form_of(&[("client_id", &*self.id), ("client_secret", secret)])
                );
            }
            None => form = format!("{form}&{}", form_of(&[("client_id", &*self.id)])),
        }
        ask = ask
            .with(header::CONTENT_TYPE, FORM)
            .with(header::ACCEPT, HeaderValue::from_static("application/json"));
        ask.body = Bytes::from(form);
        ask.timeout = self.timeout;
        ask.body_max = ANSWER_BYTES_MAX;
        Client::sharing(self.provider.tls.clone(), target)
            .ask(ask)
            .await
    }
}

/// Writes parameters as a form or query.
pub(super) fn form_of(parameters: &[(&str, &str)]) -> String {
    let pairs = parameters.iter();
    let pairs = pairs.map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// Text of a provider, for the log.
pub(super) fn told(text: &str) -> String {
    let text = &text[..text.floor_char_boundary(80)];
    text.replace(|it: char| !(' '..='~').contains(&it), "?")
}

const FORM: HeaderValue = HeaderValue::from_static("application/x-www-form-urlencoded");
/// Time before a login or a renewal is tried again, where the provider cannot be asked: a client is
/// told to come again after as long, while each request of a session asks for a renewal.
const LOGIN_PAUSE: Duration = Duration::from_secs(1);
const RENEWAL_PAUSE: Duration = Duration::from_secs(5);
/// Revocations at one provider at once.
const REVOCATIONS_MAX: usize = 32;
const ANSWER_BYTES_MAX: usize = 256 << 10;
