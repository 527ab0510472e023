//! Head of a request for HTTP/2, and the size limit on that of an answer.

use http::{HeaderMap, Request, Uri, Version, header};

use super::{super::Outbound, super::Purpose, websocket};
use crate::{failure::BadRequest, semantics::forwarded::Scheme};

/// Makes the head of a request. Its framing is that of its sender: a length that was not announced
/// is not announced here either.
///
/// `endpoint` is the authority of a request without one, as HTTP/1.0 allows.
///
/// # Errors
/// [`BadRequest`] for a request that HTTP/2 cannot express.
pub(super) fn build(
    request: &Outbound<'_>,
    scheme: Scheme,
    endpoint: &str,
) -> Result<Request<()>, BadRequest> {
    let mut headers = request.headers.to_map();
    let host = headers.remove(header::HOST).ok_or(BadRequest::Host)?;
    let authority = match host.as_bytes() {
        b"" => endpoint.as_bytes(),
        named => named,
    };
    let uri = Uri::builder()
        .scheme(scheme.as_str())
        .authority(authority)
        .path_and_query(request.target.clone())
        .build()
        .map_err(|_| BadRequest::Target)?;
    let mut head = Request::new(());
    *head.method_mut() = request.method.clone();
    *head.uri_mut() = uri;
    *head.version_mut() = Version::HTTP_2;
    *head.headers_mut() = headers;
    if request.purpose == Purpose::WebSocket {
        websocket::ask(&mut head)?;
    }
    Ok(head)
}

/// Returns true if the head of an answer is larger than the limit, counted as in RFC 9113 section
/// 6.5.2.
pub(super) fn is_too_large(headers: &HeaderMap) -> bool {
    let fields = headers.iter();
    let bytes = fields.map(|(name, value)| name.as_str().len() + value.len() + PER_FIELD);
    headers.len() > FIELDS_MAX || bytes.sum::<usize>() > HEAD_BYTES_MAX
}

const PER_FIELD: usize = 32;
const FIELDS_MAX: usize = 256;
const HEAD_BYTES_MAX: usize = 64 * 1024;
/// Size limit of the codec, which cannot tell a larger head from a malformed one: far enough away
/// that heads which are only too large are reported as such.
pub(super) const HEADER_LIST_MAX: u32 = 256 * 1024;
