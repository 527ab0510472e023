//! Known field names.
//!
//! Nearly every name on the wire is one of a few dozen, spelled as in the standards or in lower
//! case. A perfect hash and one comparison find those; from then on such a name is a number, and
//! sets of them are bits.

use http::HeaderName;

/// Returns the known name, case-insensitively.
pub(crate) fn look_up(text: &[u8]) -> Option<Known> {
    let (known, spellings) = candidate(text)?;
    let found = text == spellings.canonical.as_bytes()
        || text == spellings.lower.as_bytes()
        || text.eq_ignore_ascii_case(spellings.lower.as_bytes());
    found.then_some(*known)
}

/// Returns the known name of a lower-case text.
pub(super) fn look_up_lower(text: &[u8]) -> Option<Known> {
    let (known, spellings) = candidate(text)?;
    (text == spellings.lower.as_bytes()).then_some(*known)
}

/// Returns the only known name that the text can be.
fn candidate(text: &[u8]) -> Option<&'static (Known, Spellings)> {
    let place = *SLOTS.get(slot(text, FACTORS)?)?;
    ALL.get(usize::from(place))
}

impl Known {
    /// The name in lower case.
    pub const fn as_str(self) -> &'static str {
        LOWER[self as usize]
    }

    pub(super) const fn as_header_name(self) -> &'static HeaderName {
        &ALL[self as usize].1.name
    }
}

/// Spellings of a known name.
struct Spellings {
    /// As in the standards.
    canonical: &'static str,
    lower: &'static str,
    name: HeaderName,
}

/// Returns the slot in [`SLOTS`] of a name, from its length and three of its letters in either
/// case.
const fn slot(name: &[u8], factors: [usize; 4]) -> Option<usize> {
    let [first, .., last] = name else { return None };
    let third_last = match name {
        [.., third_last, _, _] => *third_last,
        _ => *first,
    };
    let mut hash = (name.len() & 0xff) * factors[0];
    hash += (*first | 0x20) as usize * factors[1];
    hash += (*last | 0x20) as usize * factors[2];
    hash += (third_last | 0x20) as usize * factors[3];
    Some(hash >> 8 & (SLOT_COUNT - 1))
}

/// The first of a series of factors with which no two known names share a slot. The search would
/// not end for two names that agree in length and all three letters.
const FACTORS: [usize; 4] = {
    let mut number: u32 = 1;
    let mut factors = [0; 4];
    while !are_apart(factors) {
        let mut place = 0;
        while place < factors.len() {
            number = number.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            factors[place] = (number >> 16) as usize;
            place += 1;
        }
    }
    factors
};

const fn are_apart(factors: [usize; 4]) -> bool {
    let mut taken = [false; SLOT_COUNT];
    let mut place = 0;
    while place < LOWER.len() {
        match slot(LOWER[place].as_bytes(), factors) {
            Some(slot) if !taken[slot] => taken[slot] = true,
            _ => return false,
        }
        place += 1;
    }
    true
}

/// Number of slots: ten for each name, so that factors are found quickly.
const SLOT_COUNT: usize = 1024;

/// Index into [`ALL`] of the known name of each slot; [`EMPTY`] if there is none.
static SLOTS: [u8; SLOT_COUNT] = {
    let mut slots = [EMPTY; SLOT_COUNT];
    let mut place: u8 = 0;
    while (place as usize) < LOWER.len() {
        if let Some(slot) = slot(LOWER[place as usize].as_bytes(), FACTORS) {
            slots[slot] = place;
        }
        place += 1;
    }
    slots
};

const EMPTY: u8 = u8::MAX;

macro_rules! known {
    ($($variant:ident $canonical:literal $lower:literal)*) => {
        /// A field name that the proxy knows by number.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Known {
            $(
                #[doc = concat!("`", $canonical, "`")]
                $variant,
            )*
        }

        /// In lower case, in the order of their numbers.
        const LOWER: [&str; [$($lower.len()),*].len()] = [$($lower),*];

        /// In the order of their numbers.
        static ALL: [(Known, Spellings); LOWER.len()] = [
            $((Known::$variant, Spellings {
                canonical: $canonical,
                lower: $lower,
                name: HeaderName::from_static($lower),
            })),*
        ];
    };
}

known! {
    Te "TE" "te"
    Via "Via" "via"
    Age "Age" "age"
    Host "Host" "host"
    Date "Date" "date"
    ETag "ETag" "etag"
    Vary "Vary" "vary"
    Range "Range" "range"
    Allow "Allow" "allow"
    Accept "Accept" "accept"
    Cookie "Cookie" "cookie"
    Server "Server" "server"
    Origin "Origin" "origin"
    Expect "Expect" "expect"
    Pragma "Pragma" "pragma"
    Referer "Referer" "referer"
    Upgrade "Upgrade" "upgrade"
    Expires "Expires" "expires"
    Trailer "Trailer" "trailer"
    AltSvc "Alt-Svc" "alt-svc"
    Location "Location" "location"
    IfMatch "If-Match" "if-match"
    IfRange "If-Range" "if-range"
    Forwarded "Forwarded" "forwarded"
    XRealIp "X-Real-IP" "x-real-ip"
    Connection "Connection" "connection"
    UserAgent "User-Agent" "user-agent"
    SetCookie "Set-Cookie" "set-cookie"
    KeepAlive "Keep-Alive" "keep-alive"
    Tracestate "Tracestate" "tracestate"
    Traceparent "Traceparent" "traceparent"
    RetryAfter "Retry-After" "retry-after"
    ContentType "Content-Type" "content-type"
    XRequestId "X-Request-ID" "x-request-id"
    CacheControl "Cache-Control" "cache-control"
    Authorization "Authorization" "authorization"
    LastModified "Last-Modified" "last-modified"
    IfNoneMatch "If-None-Match" "if-none-match"
    AcceptRanges "Accept-Ranges" "accept-ranges"
    ContentRange "Content-Range" "content-range"
    ContentLength "Content-Length" "content-length"
    SecFetchSite "Sec-Fetch-Site" "sec-fetch-site"
    SecFetchMode "Sec-Fetch-Mode" "sec-fetch-mode"
    SecFetchDest "Sec-Fetch-Dest" "sec-fetch-dest"
    SecFetchUser "Sec-Fetch-User" "sec-fetch-user"
    AcceptCharset "Accept-Charset" "accept-charset"
    AcceptEncoding "Accept-Encoding" "accept-encoding"
    AcceptLanguage "Accept-Language" "accept-language"
    XForwardedFor "X-Forwarded-For" "x-forwarded-for"
    XFrameOptions "X-Frame-Options" "x-frame-options"
    ContentEncoding "Content-Encoding" "content-encoding"
    XForwardedHost "X-Forwarded-Host" "x-forwarded-host"
    WwwAuthenticate "WWW-Authenticate" "www-authenticate"
    TransferEncoding "Transfer-Encoding" "transfer-encoding"
    IfModifiedSince "If-Modified-Since" "if-modified-since"
    XForwardedProto "X-Forwarded-Proto" "x-forwarded-proto"
    ContentDisposition "Content-Disposition" "content-disposition"
    IfUnmodifiedSince "If-Unmodified-Since" "if-unmodified-since"
    XContentTypeOptions "X-Content-Type-Options" "x-content-type-options"
    ContentSecurityPolicy "Content-Security-Policy" "content-security-policy"
    UpgradeInsecureRequests "Upgrade-Insecure-Requests" "upgrade-insecure-requests"
    StrictTransportSecurity "Strict-Transport-Security" "strict-transport-security"
    XRequestTimeoutMs "X-Request-Timeout-Ms" "x-request-timeout-ms"
    XSluicegateAttempt "X-Sluicegate-Attempt" "x-sluicegate-attempt"
    XSluicegateShadow "X-Sluicegate-Shadow" "x-sluicegate-shadow"
    Priority "Priority" "priority"
    SecChUa "Sec-CH-UA" "sec-ch-ua"
    SecChUaMobile "Sec-CH-UA-Mobile" "sec-ch-ua-mobile"
    SecChUaPlatform "Sec-CH-UA-Platform" "sec-ch-ua-platform"
    Dnt "DNT" "dnt"
    Link "Link" "link"
    ServerTiming "Server-Timing" "server-timing"
    XPoweredBy "X-Powered-By" "x-powered-by"
    ContentLanguage "Content-Language" "content-language"
    ProxyConnection "Proxy-Connection" "proxy-connection"
    Proxy "Proxy" "proxy"
    ProxyAuthenticate "Proxy-Authenticate" "proxy-authenticate"
    ProxyAuthorization "Proxy-Authorization" "proxy-authorization"
    ProxyAuthenticationInfo "Proxy-Authentication-Info" "proxy-authentication-info"
    Http2Settings "HTTP2-Settings" "http2-settings"
    MaxForwards "Max-Forwards" "max-forwards"
    ProxyStatus "Proxy-Status" "proxy-status"
    ContentLocation "Content-Location" "content-location"
    IdempotencyKey "Idempotency-Key" "idempotency-key"
    XRequestedWith "X-Requested-With" "x-requested-with"
    AccessControlAllowOrigin "Access-Control-Allow-Origin" "access-control-allow-origin"
    AccessControlAllowCredentials "Access-Control-Allow-Credentials" "access-control-allow-credentials"
    SecWebSocketKey "Sec-WebSocket-Key" "sec-websocket-key"
    SecWebSocketAccept "Sec-WebSocket-Accept" "sec-websocket-accept"
    SecWebSocketVersion "Sec-WebSocket-Version" "sec-websocket-version"
    SecWebSocketProtocol "Sec-WebSocket-Protocol" "sec-websocket-protocol"
    SecWebSocketExtensions "Sec-WebSocket-Extensions" "sec-websocket-extensions"
    GrpcStatus "grpc-status" "grpc-status"
    GrpcMessage "grpc-message" "grpc-message"
    GrpcTimeout "grpc-timeout" "grpc-timeout"
    GrpcEncoding "grpc-encoding" "grpc-encoding"
    GrpcAcceptEncoding "grpc-accept-encoding" "grpc-accept-encoding"
    GrpcPreviousRpcAttempts "grpc-previous-rpc-attempts" "grpc-previous-rpc-attempts"
    GrpcRetryPushbackMs "grpc-retry-pushback-ms" "grpc-retry-pushback-ms"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_any_spelling() {
        for (number, (known, spellings)) in ALL.iter().enumerate() {
            assert_eq!(*known as usize, number);
            assert!(number < 128, "a set of names has room for 128");
            assert_eq!(spellings.canonical.to_ascii_lowercase(), spellings.lower);
            let upper = spellings.canonical.to_ascii_uppercase();
            for spelling in [spellings.canonical, spellings.lower, &upper] {
                assert_eq!(look_up(spelling.as_bytes()), Some(*known));
            }
            assert_eq!(look_up_lower(spellings.lower.as_bytes()), Some(*known));
        }
    }

    #[test]
    fn a_name_that_differs_in_one_byte_is_not_taken_for_a_known_one() {
        for (_, spellings) in &ALL {
            for at in 0..spellings.lower.len() {
                for bit in 0..8 {
                    let mut near = spellings.lower.as_bytes().to_vec();
                    near[at] ^= 1 << bit;
                    let found = look_up(&near).map(Known::as_str);
                    let same = |lower: &str| near.eq_ignore_ascii_case(lower.as_bytes());
                    assert!(found.is_none_or(same), "{near:?}");
                }
            }
        }
    }

    #[test]
    fn names_too_short_to_have_a_slot_are_unknown() {
        assert!(look_up(b"").is_none() && look_up(b"a").is_none());
    }
}
