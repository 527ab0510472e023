//! The client of ACME on the bounded HTTP client of control.

use std::{
    collections::HashMap,
    future::Future,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::{BodyExt as _, Full};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};

use crate::{
    config::value::HttpUrl,
    fetch::{Ask, Client, Target},
};

/// Makes the requests of a session: over TLS only, one at a time.
#[derive(Clone, Default)]
pub(super) struct Transport(Arc<Shared>);

#[derive(Default)]
struct Shared {
    ca: Option<PathBuf>,
    /// By origin: a directory may name several.
    clients: tokio::sync::Mutex<HashMap<String, Client>>,
    /// Time before which the CA wants no other request after an error.
    retry_after: Mutex<Option<SystemTime>>,
}

impl Transport {
    pub(super) fn new(ca: Option<PathBuf>) -> Self {
        Self(Arc::new(Shared {
            ca,
            ..Shared::default()
        }))
    }

    /// Returns the time before which the CA wants no other request, if its last error said so.
    pub(super) fn retry_after(&self) -> Option<SystemTime> {
        *self
            .0
            .retry_after
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl HttpClient for Transport {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let shared = Arc::clone(&self.0);
        Box::pin(async move { shared.ask(request).await })
    }
}

impl Shared {
    async fn ask(&self, request: Request<BodyWrapper<Bytes>>) -> Result<BytesResponse, Error> {
        let (head, body) = request.into_parts();
        let url = HttpUrl::parse(&head.uri.to_string());
        let url = url.map_err(|mismatch| Error::Other(mismatch.message.into()))?;
        if !url.tls {
            return Err(Error::Str("the CA names a URL that is not https://"));
        }
        let Ok(body) = body.collect().await;
        let ask = Ask {
            method: head.method,
            path: url.path.clone(),
            headers: head.headers,
            body: body.to_bytes(),
            timeout: TIMEOUT,
            body_max: BODY_MAX,
        };
        let mut clients = self.clients.lock().await;
        if clients.len() >= ORIGINS_MAX && !clients.contains_key(&url.authority) {
            return Err(Error::Str("the CA names too many hosts"));
        }
        let client = clients.entry(url.authority.clone()).or_insert_with(|| {
            Client::new(Target {
                url,
                ca: self.ca.clone(),
                secrets: Vec::new(),
            })
        });
        let answer = client.ask(ask).await;
        let answer = answer.map_err(|error| Error::Other(Box::new(error)))?;
        if answer.status.is_client_error() || answer.status.is_server_error() {
            let after = answer.headers.get(header::RETRY_AFTER);
            let after = after.and_then(|it| it.to_str().ok()).and_then(time);
            *self
                .retry_after
                .lock()
                .unwrap_or_else(PoisonError::into_inner) = after;
        }
        let mut response = Response::new(Full::new(answer.body));
        *response.status_mut() = answer.status;
        *response.headers_mut() = answer.headers;
        Ok(BytesResponse::from(response))
    }
}

/// Reads `Retry-After` (RFC 9110 section 10.2.3).
fn time(text: &str) -> Option<SystemTime> {
    match text.trim().parse::<u64>() {
        Ok(seconds) => SystemTime::now().checked_add(Duration::from_secs(seconds)),
        Err(_) => httpdate::parse_http_date(text).ok(),
    }
}

/// Time of one request.
const TIMEOUT: Duration = Duration::from_secs(30);
/// Maximum size of an answer: a chain of certificates has some 10 KiB.
const BODY_MAX: usize = 256 << 10;
/// Maximum number of hosts of one CA.
const ORIGINS_MAX: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = SystemTime::now();
        let hour = Duration::from_secs(3600);
        let later = time(" 3600 ").unwrap().duration_since(now).unwrap();
        assert!((hour..hour * 2).contains(&later));
        let date = time("Fri, 31 Dec 1999 23:59:59 GMT").unwrap();
        assert!(date < now);
        for wrong in ["", "-1", "soon", "18446744073709551616"] {
            assert_eq!(time(wrong), None, "{wrong}");
        }
        assert_eq!(time("18446744073709551615"), None);
    }
}
