//! Fields known to both sides from the start (RFC 7541 appendix A).

use super::{FieldName, Pseudo, field::Field};
use crate::semantics::Known;

/// Number of static entries; the indexes of dynamic entries follow.
pub(super) const COUNT: u32 = 61;

/// Returns the field of an index from 1 on.
#[inline]
pub(super) fn get(index: u32) -> Option<Field<'static>> {
    let line = LINES.get(index.wrapping_sub(1) as usize)?;
    Some(Field {
        name: line.name,
        line: line.text,
        name_length: line.name_length,
        sensitive: false,
    })
}

/// Returns the first index of a known name; 0 if there is none.
#[inline]
pub(super) fn name_index(known: Known) -> usize {
    NAME_INDEXES
        .get(known as usize)
        .map_or(0, |&index| usize::from(index))
}

/// Returns the index of the field with this value whose name has this first index. Not for pseudo
/// fields, which occur several times.
#[inline]
pub(super) fn find(name_index: usize, value: &[u8]) -> Option<usize> {
    let same = match name_index {
        0 => false,
        ACCEPT_ENCODING => value == b"gzip, deflate",
        _ => value.is_empty(),
    };
    same.then_some(name_index)
}

/// Returns the index of a status, if it is in the table.
#[inline]
pub(super) fn status_index(status: http::StatusCode) -> Option<usize> {
    let statuses = [200, 204, 206, 304, 400, 404, 500];
    let place = statuses
        .iter()
        .position(|&known| known == status.as_u16())?;
    Some(STATUS + place)
}

/// The index of `:status`.
pub(super) const STATUS: usize = 8;

const ACCEPT_ENCODING: usize = 16;

/// A static field.
struct Line {
    name: FieldName,
    name_length: usize,
    text: &'static [u8],
}

macro_rules! lines {
    ($($kind:ident $(($of:ident::$variant:ident))?, $name:literal, $value:literal;)*) => {
        [$(Line {
            name: FieldName::$kind $(($of::$variant))?,
            name_length: $name.len(),
            text: concat!($name, ": ", $value, "\r\n").as_bytes(),
        }),*]
    };
}

static LINES: [Line; COUNT as usize] = lines! {
    Pseudo(Pseudo::Authority), ":authority", "";
    Pseudo(Pseudo::Method), ":method", "GET";
    Pseudo(Pseudo::Method), ":method", "POST";
    Pseudo(Pseudo::Path), ":path", "/";
    Pseudo(Pseudo::Path), ":path", "/index.html";
    Pseudo(Pseudo::Scheme), ":scheme", "http";
    Pseudo(Pseudo::Scheme), ":scheme", "https";
    Pseudo(Pseudo::Status), ":status", "200";
    Pseudo(Pseudo::Status), ":status", "204";
    Pseudo(Pseudo::Status), ":status", "206";
    Pseudo(Pseudo::Status), ":status", "304";
    Pseudo(Pseudo::Status), ":status", "400";
    Pseudo(Pseudo::Status), ":status", "404";
    Pseudo(Pseudo::Status), ":status", "500";
    Known(Known::AcceptCharset), "accept-charset", "";
    Known(Known::AcceptEncoding), "accept-encoding", "gzip, deflate";
    Known(Known::AcceptLanguage), "accept-language", "";
    Known(Known::AcceptRanges), "accept-ranges", "";
    Known(Known::Accept), "accept", "";
    Known(Known::AccessControlAllowOrigin), "access-control-allow-origin", "";
    Known(Known::Age), "age", "";
    Known(Known::Allow), "allow", "";
    Known(Known::Authorization), "authorization", "";
    Known(Known::CacheControl), "cache-control", "";
    Known(Known::ContentDisposition), "content-disposition", "";
    Known(Known::ContentEncoding), "content-encoding", "";
    Known(Known::ContentLanguage), "content-language", "";
    Known(Known::ContentLength), "content-length", "";
    Known(Known::ContentLocation), "content-location", "";
    Known(Known::ContentRange), "content-range", "";
    Known(Known::ContentType), "content-type", "";
    Known(Known::Cookie), "cookie", "";
    Known(Known::Date), "date", "";
    Known(Known::ETag), "etag", "";
    Known(Known::Expect), "expect", "";
    Known(Known::Expires), "expires", "";
    Unknown, "from", "";
    Known(Known::Host), "host", "";
    Known(Known::IfMatch), "if-match", "";
    Known(Known::IfModifiedSince), "if-modified-since", "";
    Known(Known::IfNoneMatch), "if-none-match", "";
    Known(Known::IfRange), "if-range", "";
    Known(Known::IfUnmodifiedSince), "if-unmodified-since", "";
    Known(Known::LastModified), "last-modified", "";
    Known(Known::Link), "link", "";
    Known(Known::Location), "location", "";
    Known(Known::MaxForwards), "max-forwards", "";
    Known(Known::ProxyAuthenticate), "proxy-authenticate", "";
    Known(Known::ProxyAuthorization), "proxy-authorization", "";
    Known(Known::Range), "range", "";
    Known(Known::Referer), "referer", "";
    Unknown, "refresh", "";
    Known(Known::RetryAfter), "retry-after", "";
    Known(Known::Server), "server", "";
    Known(Known::SetCookie), "set-cookie", "";
    Known(Known::StrictTransportSecurity), "strict-transport-security", "";
    Known(Known::TransferEncoding), "transfer-encoding", "";
    Known(Known::UserAgent), "user-agent", "";
    Known(Known::Vary), "vary", "";
    Known(Known::Via), "via", "";
    Known(Known::WwwAuthenticate), "www-authenticate", "";
};

/// The first index of each known name, by its number; 0 if there is none.
static NAME_INDEXES: [u8; 128] = {
    let mut indexes = [0; 128];
    let mut index: u8 = 1;
    while (index as usize) <= LINES.len() {
        if let FieldName::Known(known) = LINES[index as usize - 1].name {
            indexes[known as usize] = index;
        }
        index += 1;
    }
    indexes
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_they_are_said_to_be() {
        for line in &LINES {
            let name = &line.text[..line.name_length];
            assert_eq!(line.name, FieldName::of(name));
            assert!(line.text.ends_with(b"\r\n"));
        }
    }

    #[test]
    fn known_fields_are_found() {
        assert_eq!(name_index(Known::WwwAuthenticate), 61);
        assert_eq!(name_index(Known::XRequestId), 0);
        assert_eq!(find(16, b"gzip, deflate"), Some(16));
        assert_eq!(find(16, b""), None);
        assert_eq!(find(0, b""), None);
        assert_eq!(find(28, b""), Some(28));
        assert_eq!(status_index(http::StatusCode::NOT_FOUND), Some(13));
        assert_eq!(status_index(http::StatusCode::FOUND), None);
        assert_eq!(get(61).map(|field| field.name_length), Some(16));
        assert!(get(0).is_none() && get(62).is_none());
    }
}
