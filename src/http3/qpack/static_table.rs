//! Fields known to both sides (RFC 9204 appendix A).

use std::sync::LazyLock;

use http::StatusCode;

use crate::{
    http2::hpack::{CRLF, Field, FieldName, SEPARATOR},
    semantics::Known,
};

/// Returns the field of an index.
pub(super) fn get(index: u32) -> Option<Field<'static>> {
    let line = TABLE.lines.get(usize::try_from(index).ok()?)?;
    Some(Field {
        name: line.name,
        line: &line.text,
        name_length: line.name_length,
        sensitive: false,
    })
}

/// Returns the first index of a known name.
pub(super) fn name_index(known: Known) -> Option<usize> {
    let index = TABLE.first.get(known as usize).copied();
    index.filter(|index| *index != NONE).map(usize::from)
}

/// Returns the index of the field with this value, whose name has this first index.
pub(super) fn find(name_index: usize, value: &[u8]) -> Option<usize> {
    let (name, _) = FIELDS.get(name_index)?;
    let same = FIELDS.iter().skip(name_index);
    let same = same.take_while(|(other, _)| other == name);
    let place = same
        .map(|(_, of_table)| of_table)
        .position(|it| it.as_bytes() == value)?;
    Some(name_index + place)
}

/// Returns the index of a status, if it is in the table.
pub(super) fn status_index(status: StatusCode) -> Option<usize> {
    STATUSES
        .iter()
        .find_map(|(known, index)| (*known == status.as_u16()).then_some(*index))
}

/// The first index of `:status`.
pub(super) const STATUS: usize = 24;

/// The statuses of the table, the frequent ones first.
const STATUSES: [(u16, usize); 14] = [
    (200, 25),
    (304, 26),
    (404, 27),
    (204, 64),
    (206, 65),
    (302, 66),
    (500, 71),
    (503, 28),
    (400, 67),
    (403, 68),
    (103, 24),
    (100, 63),
    (421, 69),
    (425, 70),
];

/// The table in the form in which fields are handed out.
struct Table {
    lines: Vec<Line>,
    /// First index of each known name; [`NONE`] if it has none.
    first: [u8; 128],
}

/// A field as a line.
struct Line {
    name: FieldName,
    name_length: usize,
    text: Vec<u8>,
}

static TABLE: LazyLock<Table> = LazyLock::new(|| {
    let mut first = [NONE; 128];
    let mut lines = Vec::with_capacity(FIELDS.len());
    for (index, (name, value)) in (0..).zip(FIELDS) {
        let text = [name.as_bytes(), SEPARATOR, value.as_bytes(), CRLF].concat();
        let name_length = name.len();
        let name = FieldName::of(name.as_bytes());
        if let FieldName::Known(known) = name
            && let Some(place) = first.get_mut(known as usize)
            && *place == NONE
        {
            *place = index;
        }
        lines.push(Line {
            name,
            name_length,
            text,
        });
    }
    Table { lines, first }
});

const NONE: u8 = u8::MAX;

#[rustfmt::skip]
const FIELDS: [(&str, &str); 99] = [
    (":authority", ""),
    (":path", "/"),
    ("age", "0"),
    ("content-disposition", ""),
    ("content-length", "0"),
    ("cookie", ""),
    ("date", ""),
    ("etag", ""),
    ("if-modified-since", ""),
    ("if-none-match", ""),
    ("last-modified", ""),
    ("link", ""),
    ("location", ""),
    ("referer", ""),
    ("set-cookie", ""),
    (":method", "CONNECT"),
    (":method", "DELETE"),
    (":method", "GET"),
    (":method", "HEAD"),
    (":method", "OPTIONS"),
    (":method", "POST"),
    (":method", "PUT"),
    (":scheme", "http"),
    (":scheme", "https"),
    (":status", "103"),
    (":status", "200"),
    (":status", "304"),
    (":status", "404"),
    (":status", "503"),
    ("accept", "*/*"),
    ("accept", "application/dns-message"),
    ("accept-encoding", "gzip, deflate, br"),
    ("accept-ranges", "bytes"),
    ("access-control-allow-headers", "cache-control"),
    ("access-control-allow-headers", "content-type"),
    ("access-control-allow-origin", "*"),
    ("cache-control", "max-age=0"),
    ("cache-control", "max-age=2592000"),
    ("cache-control", "max-age=604800"),
    ("cache-control", "no-cache"),
    ("cache-control", "no-store"),
    ("cache-control", "public, max-age=31536000"),
    ("content-encoding", "br"),
    ("content-encoding", "gzip"),
    ("content-type", "application/dns-message"),
    ("content-type", "application/javascript"),
    ("content-type", "application/json"),
    ("content-type", "application/x-www-form-urlencoded"),
    ("content-type", "image/gif"),
    ("content-type", "image/jpeg"),
    ("content-type", "image/png"),
    ("content-type", "text/css"),
    ("content-type", "text/html; charset=utf-8"),
    ("content-type", "text/plain"),
    ("content-type", "text/plain;charset=utf-8"),
    ("range", "bytes=0-"),
    ("strict-transport-security", "max-age=31536000"),
    ("strict-transport-security", "max-age=31536000; includesubdomains"),
    ("strict-transport-security", "max-age=31536000; includesubdomains; preload"),
    ("vary", "accept-encoding"),
    ("vary", "origin"),
    ("x-content-type-options", "nosniff"),
    ("x-xss-protection", "1; mode=block"),
    (":status", "100"),
    (":status", "204"),
    (":status", "206"),
    (":status", "302"),
    (":status", "400"),
    (":status", "403"),
    (":status", "421"),
    (":status", "425"),
    (":status", "500"),
    ("accept-language", ""),
    ("access-control-allow-credentials", "FALSE"),
    ("access-control-allow-credentials", "TRUE"),
    ("access-control-allow-headers", "*"),
    ("access-control-allow-methods", "get"),
    ("access-control-allow-methods", "get, post, options"),
    ("access-control-allow-methods", "options"),
    ("access-control-expose-headers", "content-length"),
    ("access-control-request-headers", "content-type"),
    ("access-control-request-method", "get"),
    ("access-control-request-method", "post"),
    ("alt-svc", "clear"),
    ("authorization", ""),
    ("content-security-policy", "script-src 'none'; object-src 'none'; base-uri 'none'"),
    ("early-data", "1"),
    ("expect-ct", ""),
    ("forwarded", ""),
    ("if-range", ""),
    ("origin", ""),
    ("purpose", "prefetch"),
    ("server", ""),
    ("timing-allow-origin", "*"),
    ("upgrade-insecure-requests", "1"),
    ("user-agent", ""),
    ("x-forwarded-for", ""),
    ("x-frame-options", "deny"),
    ("x-frame-options", "sameorigin"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_are_where_the_table_has_them() {
        let of_table = FIELDS
            .iter()
            .zip(0..)
            .filter(|((name, _), _)| *name == ":status");
        for ((_, status), index) in of_table.clone() {
            assert_eq!(status_index(status.parse().unwrap()), Some(index));
        }
        assert_eq!(of_table.count(), STATUSES.len());
        assert_eq!(status_index(StatusCode::FOUND), Some(66));
        assert_eq!(status_index(StatusCode::CREATED), None);
    }

    #[test]
    fn fields_are_found_by_name_and_value() {
        assert_eq!(name_index(Known::ContentType), Some(44));
        assert_eq!(name_index(Known::XRequestId), None);
        assert_eq!(find(44, b"text/css"), Some(51));
        assert_eq!(find(44, b"text/csv"), None);
        assert_eq!(find(6, b""), Some(6));
        assert!(
            TABLE
                .lines
                .iter()
                .all(|line| line.name != FieldName::Malformed)
        );
        assert!(get(98).is_some() && get(99).is_none());
    }
}
