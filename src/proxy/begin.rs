//! Start of an exchange's record, when its head has arrived.

use std::{cell::RefCell, net::IpAddr, rc::Rc};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Version};

use super::{open::Open, trace};
use crate::{
    config::value::FieldSource,
    exchange::{CallRecord, Caller, Exchange, Passage, Request, RequestLine},
    memory,
    semantics::{
        Headers, Known,
        accept::Accepts,
        forwarded::{self, Trust},
        grpc,
        request_id::RequestId,
    },
    state::LocalSnapshot,
    timer,
    worker::Connection,
};

/// Opens the record; without a request if its head was invalid.
pub(super) fn begin(connection: &Rc<Connection>, request: Option<&Request>) -> Open {
    let snapshot = connection.worker.snapshot();
    let listener = connection.listener(&snapshot);
    let trusted = &snapshot.shared.trusted;
    let trust = trusted.trust(connection.peer());
    let client = match request {
        Some(request) => forwarded::client_address(connection.peer(), trusted, &request.headers),
        None => connection.peer(),
    };
    let started = timer::now();
    let call = request
        .map(|request| &request.headers)
        .filter(|headers| grpc::is_grpc(headers));
    let scheme = match request {
        Some(request) => {
            forwarded::client_scheme(connection.scheme(), trust, trusted, &request.headers)
        }
        None => connection.scheme(),
    };
    let tracing = snapshot.shared.tracing.as_ref();
    let trace = tracing.map(|it| trace::begin(&connection.worker, it, trust, request));
    let exchange = memory::boxed(|| Exchange {
        listener,
        started,
        trace,
        request_id: request_id_of(connection, trust, request),
        trust,
        client,
        client_port: if client == connection.peer() {
            connection.peer_port()
        } else {
            0
        },
        scheme,
        tls: connection.tls.get().cloned(),
        request: request_line(connection, &snapshot, request, client),
        decision: None,
        cohort: None,
        call: CallRecord::default(),
        cached: None,
        aside: RefCell::default(),
        caller: Rc::clone(&connection.worker) as Rc<dyn Caller>,
        failure: None,
        refusal: None,
        passage: Passage::default(),
        accepts: Accepts::default(),
        status: None,
        answered: None,
        bytes_in: 0,
        bytes_out: 0,
        grpc: call.is_some(),
        grpc_web: None,
        client_deadline: call
            .and_then(grpc::read_timeout)
            .and_then(|timeout| started.checked_add(timeout)),
        grpc_status: None,
        complete: false,
        ended: false,
        debugged: match (&snapshot.shared.debug_header, request) {
            (Some(header), Some(request)) => header.is_asked(&request.headers, client),
            _ => false,
        },
        snapshot,
    });
    Open::new(Rc::clone(connection), exchange)
}

/// Returns the id that a trusted peer sent, else a new one.
fn request_id_of(connection: &Connection, trust: Trust, request: Option<&Request>) -> RequestId {
    request
        .filter(|_| trust == Trust::Trusted)
        .and_then(|request| request.headers.get(Known::XRequestId))
        .and_then(RequestId::sent)
        .unwrap_or_else(|| connection.worker.new_request_id())
}

fn request_line(
    connection: &Connection,
    snapshot: &LocalSnapshot,
    request: Option<&Request>,
    client: IpAddr,
) -> RequestLine {
    let Some(request) = request else {
        return RequestLine {
            method: Method::GET,
            target: Bytes::new(),
            version: match connection.protocol.get() {
                "HTTP/2.0" => Version::HTTP_2,
                "HTTP/3.0" => Version::HTTP_3,
                _ => Version::HTTP_11,
            },
            authority: None,
            user_agent: None,
            logged: Vec::new(),
            known: false,
        };
    };
    let shared = &snapshot.shared;
    let logged = shared.access_log.is_some() || shared.tracing.is_some();
    RequestLine {
        method: request.method.clone(),
        // Filled in when the target has been checked.
        target: Bytes::new(),
        version: request.version,
        authority: None,
        user_agent: if logged {
            request.headers.get_owned(Known::UserAgent)
        } else {
            None
        },
        logged: {
            let mut logged = logged_fields(snapshot, &request.headers, |source| match source {
                FieldSource::RequestHeader(name) => Some(name),
                _ => None,
            });
            logged.extend(fields_of_place(snapshot, client));
            logged
        },
        known: true,
    }
}

/// Returns the values of added fields of the access log that tell where the client is.
fn fields_of_place(
    snapshot: &LocalSnapshot,
    client: IpAddr,
) -> impl Iterator<Item = (usize, HeaderValue)> {
    let shared = &snapshot.shared;
    let fields = shared.logged.iter().enumerate();
    fields.filter_map(move |(place, (_, source))| {
        let value = match source {
            FieldSource::GeoCountry => {
                let country = shared.country(client)?;
                HeaderValue::from_str(country.as_str()).ok()?
            }
            FieldSource::GeoAsn => HeaderValue::from(shared.asn(client)?.0),
            FieldSource::RequestHeader(_) | FieldSource::ResponseHeader(_) => return None,
        };
        Some((place, value))
    })
}

/// Returns the values of added fields of the access log, of the headers returned by `of`. Allocates
/// nothing if the log adds none.
pub(super) fn logged_fields<'a>(
    snapshot: &'a LocalSnapshot,
    headers: &Headers,
    of: impl Fn(&'a FieldSource) -> Option<&'a HeaderName>,
) -> Vec<(usize, HeaderValue)> {
    let fields = snapshot.shared.logged.iter().enumerate();
    fields
        .filter_map(|(place, (_, source))| Some((place, headers.get_owned(of(source)?)?)))
        .collect()
}
