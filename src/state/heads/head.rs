//! A request head that is kept for a while.

use std::{net::IpAddr, sync::Arc};

use http::{HeaderName, HeaderValue, Method, Uri};
use tokio::time::Instant;

use super::private::{DigestKey, Named, Opened, is_sealed, is_sealed_in_part, shown};
use crate::{
    semantics::{Headers, cookie, forwarded::Scheme, secret_names::SecretNames},
    state::{Asked, RequestView},
    tls::ClientCertificate,
};

/// A request head as it was routed, without its secrets.
#[derive(Clone, Debug)]
pub struct RecentHead {
    /// Identity of the request.
    pub(super) request_id: Box<str>,
    /// Time at which it was routed.
    pub(super) at: Instant,
    listener: Arc<str>,
    pub(super) method: Method,
    pub(super) scheme: Scheme,
    /// Path and query; sealed.
    target: String,
    /// Names and sealed values, in order.
    headers: Vec<Line>,
    pub(super) client: IpAddr,
    certificate: Option<ClientCertificate>,
    /// True if nothing was left out for its size.
    pub(super) whole: bool,
}

type Line = (Box<[u8]>, Box<[u8]>);

/// Facts of a request that its view does not have.
#[derive(Clone, Copy, Debug)]
pub struct HeadOrigin<'a> {
    /// Identity of the request.
    pub request_id: &'a str,
    /// Name of the listener.
    pub listener: &'a Arc<str>,
    /// Scheme that the client used.
    pub scheme: Scheme,
    /// Current time.
    pub now: Instant,
}

impl RecentHead {
    /// Keeps a head, with digests in place of its secrets.
    pub fn of(
        view: &RequestView<'_>,
        origin: HeadOrigin<'_>,
        key: &DigestKey,
        names: &SecretNames,
    ) -> Self {
        let target = match view.query {
            Some(query) => format!("{}?{query}", view.path),
            None => view.path.to_owned(),
        };
        let mut room = BYTES_MAX;
        let mut take = |bytes: usize| {
            let fits = bytes <= room;
            room = room.saturating_sub(bytes);
            fits
        };
        let mut whole = take(target.len());
        let target = match whole {
            true => key.seal_target(&target, names),
            false => "/".to_owned(),
        };
        let mut headers = Vec::with_capacity(view.headers.len());
        for (name, value) in view.headers.iter() {
            let value = value.as_bytes();
            if !take(name.len() + value.len()) {
                whole = false;
                break;
            }
            headers.push((name.into(), key.seal_header(name, value, names)));
        }
        let certificate = view.certificate.filter(|it| take(bytes_of(it)));
        whole &= certificate.is_some() == view.certificate.is_some();
        Self {
            request_id: origin.request_id.into(),
            at: origin.now,
            listener: Arc::clone(origin.listener),
            method: view.method.clone(),
            scheme: origin.scheme,
            target,
            headers,
            client: view.client,
            certificate: certificate.cloned(),
            whole,
        }
    }

    /// Returns it as a request to ask about; none if it cannot be one.
    pub(super) fn asked(&self, named: &Named<'_>) -> Option<Asked> {
        let mut headers = Headers::new();
        for (name, value) in &self.headers {
            let value = named.open(value, Opened::Field);
            let value = HeaderValue::from_bytes(&value).ok()?;
            headers.append(&HeaderName::from_bytes(name).ok()?, value);
        }
        let target = named.open(self.target.as_bytes(), Opened::Query);
        Some(Asked {
            method: self.method.clone(),
            url: Uri::try_from(&*target).ok()?,
            headers,
            listener: Some(self.listener.to_string()),
            source: Some(self.client),
            certificate: self.certificate.clone(),
        })
    }

    /// Returns true if the value of a header is not kept.
    pub(super) fn hides_header(&self, name: &str) -> bool {
        let lines = self.headers.iter();
        let mut lines = lines.filter(|(own, _)| own.eq_ignore_ascii_case(name.as_bytes()));
        lines.any(|(_, value)| is_sealed(value))
    }

    /// Returns true if a part of the value of a header is not kept, so that it cannot be compared as
    /// a whole.
    pub(super) fn hides_part(&self, header: &str) -> bool {
        let lines = self.headers.iter();
        let mut lines = lines.filter(|(own, _)| own.eq_ignore_ascii_case(header.as_bytes()));
        lines.any(|(_, value)| is_sealed_in_part(value))
    }

    /// Returns true if it has a cookie of this name, whose value is not kept.
    pub(super) fn hides_cookie(&self, name: &str) -> bool {
        let lines = self.headers.iter();
        let lines = lines.filter(|(own, _)| own.eq_ignore_ascii_case(b"cookie"));
        let mut pairs = lines.flat_map(|(_, line)| cookie::split(line));
        pairs.any(|pair| cookie::value_of(pair, name).is_some())
    }

    /// Returns true if the value of a query parameter is not kept.
    pub(super) fn hides_query(&self, name: &str) -> bool {
        let query = self
            .target
            .split_once('?')
            .map(|(_, query)| query.as_bytes());
        crate::semantics::query::find(query, name)
            .is_some_and(|value| is_sealed(&value.collect::<Vec<_>>()))
    }

    /// Returns its fields for people.
    pub fn shown_headers(&self) -> Vec<(String, String)> {
        let lines = self.headers.iter();
        let text = |name: &[u8]| String::from_utf8_lossy(name).to_lowercase();
        lines
            .map(|(name, value)| (text(name), shown(value)))
            .collect()
    }

    /// Returns method and URL for people.
    pub(super) fn shown(&self) -> String {
        let mut lines = self.headers.iter();
        let host = lines.find(|(name, _)| name.eq_ignore_ascii_case(b"host"));
        let host = host.map(|(_, value)| shown(value)).unwrap_or_default();
        let (method, scheme) = (&self.method, self.scheme.as_str());
        format!(
            "{method} {scheme}://{host}{}",
            shown(self.target.as_bytes())
        )
    }
}

fn bytes_of(certificate: &ClientCertificate) -> usize {
    let ClientCertificate {
        subject,
        dns,
        uri,
        email,
        ip,
    } = certificate;
    let names = [dns, uri, email, ip].into_iter().flatten();
    subject.len() + names.map(String::len).sum::<usize>()
}

/// Bytes of a head that are kept.
const BYTES_MAX: usize = 8 * 1024;
