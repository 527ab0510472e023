//! Hypothetical requests, for `explain` and for tests, and the listener that each would arrive at.

use std::net::{IpAddr, Ipv4Addr};

use http::{HeaderName, HeaderValue, Method, Uri};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Listener, RequestView, Snapshot, decision};
use crate::{
    config::value::BindAddress,
    failure::{BadRequest, Failure},
    semantics::{Headers, Known, authority::Authority},
    tls::ClientCertificate,
    upstream::HashInput,
};

/// A request to be explained, not sent.
#[derive(Clone, Debug)]
pub struct Asked {
    /// Its method.
    pub method: Method,
    /// Its URL, with scheme and host.
    pub url: Uri,
    /// Its headers.
    pub headers: Headers,
    /// Listener that it arrives at; none: the one of the URL's scheme and port.
    pub listener: Option<String>,
    /// Address that it would come from.
    pub source: Option<IpAddr>,
    /// Certificate that its client would present.
    pub certificate: Option<ClientCertificate>,
}

/// Reasons why a request arrives at a listener and no other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ArrivalReason {
    /// It was named.
    Named,
    /// Scheme and port are its own, or there is no other listener.
    Fits,
    /// Its port is that of the URL, which has another scheme.
    Port,
    /// It speaks the URL's scheme; no listener has the port.
    Scheme,
    /// The URL has neither scheme nor port, or no listener has either.
    First,
}

/// Arrival of a request: the listener it would arrive at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival<'a> {
    pub(super) listener: &'a Listener,
    pub(super) reason: ArrivalReason,
}

impl Asked {
    /// Reads a request that is written as text.
    ///
    /// # Errors
    /// A message about the part that no request can have.
    pub fn read(method: &str, url: &str, headers: &[(String, String)]) -> Result<Self, String> {
        let method = Method::try_from(method).map_err(|_| format!("{method:?} is not a method"))?;
        let url: Uri = url.parse().map_err(|_| format!("{url:?} is not a URL"))?;
        let mut fields = Headers::new();
        for (name, value) in headers {
            let name = HeaderName::try_from(name).map_err(|_| format!("{name:?} is no header"))?;
            let value = HeaderValue::try_from(value)
                .map_err(|_| format!("{value:?} is no value of a header"))?;
            fields.append(name, value);
        }
        Ok(Self {
            method,
            url,
            headers: fields,
            listener: None,
            source: None,
            certificate: None,
        })
    }

    /// Returns the host that it is for: the URL's, else the header's.
    ///
    /// # Errors
    /// The rule that the host violates.
    pub(super) fn authority(&self) -> Result<Option<Authority>, BadRequest> {
        let host = match self.url.authority() {
            Some(authority) => Some(authority.as_str().as_bytes()),
            None => self.headers.get(Known::Host).map(|host| host.as_bytes()),
        };
        host.map(Authority::parse).transpose()
    }

    /// Returns the view of the request for routing at this listener.
    pub(super) fn view<'a>(
        &'a self,
        authority: Option<&'a Authority>,
        listener: &Listener,
    ) -> RequestView<'a> {
        RequestView {
            listener: listener.index,
            host: authority.map_or("", Authority::host),
            path: self.url.path(),
            query: self.url.query(),
            method: &self.method,
            headers: &self.headers,
            client: self.client(),
            certificate: self.certificate.as_ref(),
        }
    }

    /// Returns the parts that a user is recognised by.
    pub(super) fn user(&self) -> HashInput<'_> {
        HashInput::of_user(&self.headers, self.url.query(), self.client())
    }

    fn client(&self) -> IpAddr {
        self.source.unwrap_or(IpAddr::V4(Ipv4Addr::LOCALHOST))
    }

    /// Finds the listener: the named one, else the one that fits port and scheme best. A given port
    /// counts most, then the scheme, then the scheme's own port; of equals the first that has a
    /// route for the request, since a load balancer in front may map ports.
    ///
    /// # Errors
    /// The reason why there is none.
    pub(super) fn arrive<'a>(
        &self,
        snapshot: &'a Snapshot,
        authority: Option<&Authority>,
    ) -> Result<Arrival<'a>, String> {
        let listeners = &snapshot.listeners;
        if let Some(name) = &self.listener {
            let named = listeners.iter().find(|listener| *listener.name == **name);
            let listener = named.ok_or_else(|| format!("there is no listener \"{name}\""))?;
            let reason = ArrivalReason::Named;
            return Ok(Arrival { listener, reason });
        }
        let fits: Vec<Fit> = listeners.iter().map(|it| self.fit(it)).collect();
        let best = fits.iter().max();
        let best = *best.ok_or("the configuration has no listener")?;
        let mut equals = listeners.iter().zip(&fits).filter(|(_, fit)| **fit == best);
        let first = equals.clone().next();
        let taken = equals.find(|(listener, _)| {
            decision::route(snapshot, &self.view(authority, listener)).is_ok()
        });
        let (listener, _) = taken.or(first).ok_or("the configuration has no listener")?;
        let reason = match best {
            _ if listeners.len() == 1 => ArrivalReason::Fits,
            Fit {
                scheme: true,
                port,
                own_port,
            } if port || own_port => ArrivalReason::Fits,
            Fit { port: true, .. } => ArrivalReason::Port,
            Fit { scheme: true, .. } => ArrivalReason::Scheme,
            Fit { .. } => ArrivalReason::First,
        };
        Ok(Arrival { listener, reason })
    }

    /// Returns the decision for it, by the function that routes.
    ///
    /// # Errors
    /// The failure that it would end with; none if no listener is found.
    pub(super) fn decide(&self, snapshot: &Snapshot) -> Result<super::Decision, Option<Failure>> {
        let authority = self.authority().map_err(|rule| Some(rule.into()))?;
        let authority = authority.as_ref();
        let arrival = self.arrive(snapshot, authority).map_err(|_| None)?;
        let view = self.view(authority, arrival.listener);
        decision::route(snapshot, &view).map_err(Some)
    }

    fn fit(&self, listener: &Listener) -> Fit {
        let bound = match &listener.address {
            BindAddress::Tcp(address) => Some(address.port()),
            BindAddress::Unix(_) => None,
        };
        let secure = self.url.scheme_str().map(|scheme| scheme == "https");
        Fit {
            port: self.url.port_u16().is_some_and(|port| bound == Some(port)),
            scheme: secure == Some(listener.tls.is_some()),
            own_port: self.url.port().is_none()
                && secure.is_some_and(|secure| bound == Some(if secure { 443 } else { 80 })),
        }
    }
}

/// Fit of a listener for a URL; the first field that differs decides.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Fit {
    /// It has the given port.
    port: bool,
    /// It speaks the scheme.
    scheme: bool,
    /// It has the scheme's own port, if none is given.
    own_port: bool,
}
