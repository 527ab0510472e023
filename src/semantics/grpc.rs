//! Header and trailer fields of gRPC, and the answers that a proxy makes to gRPC calls.
//!
//! Source: "gRPC over HTTP/2", "HTTP to gRPC status code mapping" and proposal A6 (retries)
//! of the gRPC documentation.

use std::time::Duration;

use http::{HeaderValue, StatusCode};

use super::headers::{Headers, Known, Value};
use crate::failure::Failure;

/// Returns true if the content type is one of gRPC.
pub fn is_grpc(headers: &Headers) -> bool {
    headers.get(Known::ContentType).is_some_and(|kind| {
        let rest = kind.as_bytes().strip_prefix(b"application/grpc");
        // `application/grpc-web` is another protocol.
        rest.is_some_and(|rest| matches!(rest.first(), None | Some(b'+' | b';')))
    })
}

/// Returns true if the content type is one of gRPC-Web.
pub fn is_grpc_web(headers: &Headers) -> bool {
    let kind = headers.get(Known::ContentType);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc-web"))
}

/// Returns the gRPC status for a failure.
pub fn status_of(failure: Failure) -> u16 {
    if failure == Failure::ResponseTimeout {
        return DEADLINE_EXCEEDED;
    }
    status_for(failure.status())
}

/// The gRPC status for a status of HTTP.
pub fn status_for(status: StatusCode) -> u16 {
    match status {
        StatusCode::BAD_REQUEST => INTERNAL,
        StatusCode::UNAUTHORIZED => UNAUTHENTICATED,
        StatusCode::FORBIDDEN => PERMISSION_DENIED,
        StatusCode::NOT_FOUND => UNIMPLEMENTED,
        StatusCode::TOO_MANY_REQUESTS
        | StatusCode::BAD_GATEWAY
        | StatusCode::SERVICE_UNAVAILABLE
        | StatusCode::GATEWAY_TIMEOUT => UNAVAILABLE,
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => {
            RESOURCE_EXHAUSTED
        }
        _ => UNKNOWN,
    }
}

/// Returns the status in the trailers of a call, or in the head of a trailers-only answer.
///
/// None if there is none; a status that is not a number counts as UNKNOWN, as in clients.
pub fn status_in(fields: &Headers) -> Option<u8> {
    let status = fields.get(Known::GrpcStatus)?.to_str().unwrap_or_default();
    Some(status.parse().unwrap_or(UNKNOWN_U8))
}

/// Returns true if a status means that the endpoint failed, and not that the call was wrong,
/// refused or late. A status that clients can provoke must not count against an endpoint.
pub const fn is_failure(status: u8) -> bool {
    matches!(status, 2 | 13 | 14 | 15)
}

/// Returns the name of a status that [`is_failure`], as spelled in metrics and configuration.
pub const fn failure_word(status: u8) -> &'static str {
    match status {
        13 => "grpc:internal",
        14 => "grpc:unavailable",
        15 => "grpc:data-loss",
        _ => "grpc:unknown",
    }
}

/// Reads `grpc-timeout`: at most eight digits and a unit.
pub fn read_timeout(headers: &Headers) -> Option<Duration> {
    let value = headers.get(Known::GrpcTimeout)?.as_bytes();
    let (unit, digits) = value.split_last()?;
    if digits.is_empty() || digits.len() > DIGITS_MAX || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let count = digits
        .iter()
        .fold(0, |count: u64, digit| count * 10 + u64::from(digit - b'0'));
    Some(match unit {
        b'H' => Duration::from_secs(count * 3600),
        b'M' => Duration::from_secs(count * 60),
        b'S' => Duration::from_secs(count),
        b'm' => Duration::from_millis(count),
        b'u' => Duration::from_micros(count),
        b'n' => Duration::from_nanos(count),
        _ => return None,
    })
}

/// Writes `grpc-timeout` in the finest unit that eight digits allow, rounded down.
pub fn write_timeout(timeout: Duration) -> Option<HeaderValue> {
    let most = 10_u128.pow(8);
    let seconds = u128::from(timeout.as_secs());
    let (count, unit) = [
        (timeout.as_nanos(), 'n'),
        (timeout.as_micros(), 'u'),
        (timeout.as_millis(), 'm'),
        (seconds, 'S'),
        (seconds / 60, 'M'),
    ]
    .into_iter()
    .find(|(count, _)| *count < most)
    .unwrap_or((seconds / 3600, 'H'));
    HeaderValue::try_from(format!("{count}{unit}")).ok()
}

/// Advice of an endpoint on another attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pushback {
    /// Not before this time.
    Wait(Duration),
    /// None at all.
    Never,
}

/// Reads `grpc-retry-pushback-ms`; a value that is not a number from 0 on means never.
pub fn read_pushback(headers: &Headers) -> Option<Pushback> {
    let value = headers.get(Known::GrpcRetryPushbackMs)?;
    let wait = value.to_str().and_then(|value| value.parse().ok());
    Some(wait.map_or(Pushback::Never, |wait: u32| {
        Pushback::Wait(Duration::from_millis(wait.into()))
    }))
}

/// Returns the trailers that end a call in the middle of its answer.
pub fn late_trailers() -> Headers {
    let mut trailers = Headers::new();
    trailers.append(Known::GrpcStatus, HeaderValue::from(DEADLINE_EXCEEDED));
    let message = Value::from_static("the deadline of the call is over");
    trailers.append(Known::GrpcMessage, message);
    trailers
}

/// Encodes a status message: everything but visible ASCII, and `%`.
pub fn percent_encode(message: &str) -> String {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut text = String::with_capacity(message.len());
    for byte in message.bytes() {
        if matches!(byte, b' '..=b'~') && byte != b'%' {
            text.push(char::from(byte));
        } else {
            text.push('%');
            text.push(char::from(DIGITS[usize::from(byte >> 4)]));
            text.push(char::from(DIGITS[usize::from(byte & 15)]));
        }
    }
    text
}

const DIGITS_MAX: usize = 8;
const UNKNOWN_U8: u8 = 2;
/// Status of a call that ended in an unknown way.
pub const UNKNOWN: u16 = 2;
/// The status of a call that took too long.
pub const DEADLINE_EXCEEDED: u16 = 4;
const PERMISSION_DENIED: u16 = 7;
const RESOURCE_EXHAUSTED: u16 = 8;
const UNIMPLEMENTED: u16 = 12;
const INTERNAL: u16 = 13;
const UNAVAILABLE: u16 = 14;
const UNAUTHENTICATED: u16 = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::headers::fields;

    #[test]
    fn only_grpc_itself_is_taken_for_it() {
        for (kind, expected) in [
            ("application/grpc", true),
            ("application/grpc+proto", true),
            ("application/grpc;x=y", true),
            ("application/grpc-web", false),
            ("application/json", false),
        ] {
            let headers = fields(&[("content-type", kind)]);
            assert_eq!(is_grpc(&headers), expected, "{kind}");
        }
    }

    #[test]
    fn failures_have_the_status_of_the_mapping() {
        assert_eq!(status_of(Failure::RouteNotFound), UNIMPLEMENTED);
        assert_eq!(status_of(Failure::ConnectRefused), UNAVAILABLE);
        assert_eq!(status_of(Failure::ResponseTimeout), DEADLINE_EXCEEDED);
        assert_eq!(status_of(Failure::NoEndpoint), UNAVAILABLE);
    }

    #[test]
    fn timeouts_are_read_as_written() {
        for (text, expected) in [
            ("1S", Some(Duration::from_secs(1))),
            ("250m", Some(Duration::from_millis(250))),
            ("99999999H", Some(Duration::from_secs(99_999_999 * 3600))),
            ("5M", Some(Duration::from_secs(300))),
            ("7u", Some(Duration::from_micros(7))),
            ("0n", Some(Duration::ZERO)),
            ("123456789S", None),
            ("S", None),
            ("", None),
            ("1", None),
            ("1s", None),
            ("-1S", None),
            ("1.5S", None),
        ] {
            let headers = fields(&[("grpc-timeout", text)]);
            assert_eq!(read_timeout(&headers), expected, "{text:?}");
        }
    }

    #[test]
    fn a_timeout_is_written_in_eight_digits_and_never_grows() {
        for (timeout, expected) in [
            (Duration::ZERO, "0n"),
            (Duration::from_millis(99), "99000000n"),
            (Duration::from_secs(1), "1000000u"),
            (Duration::from_secs(3600), "3600000m"),
            (Duration::from_secs(200_000), "200000S"),
            (Duration::from_secs(100_000_059), "1666667M"),
        ] {
            let written = write_timeout(timeout).unwrap();
            assert_eq!(written.to_str().unwrap(), expected);
            let mut headers = Headers::new();
            headers.insert(Known::GrpcTimeout, written);
            assert!(read_timeout(&headers).unwrap() <= timeout);
        }
    }

    #[test]
    fn a_pushback_that_is_no_time_means_never() {
        for (text, expected) in [
            ("0", Pushback::Wait(Duration::ZERO)),
            ("150", Pushback::Wait(Duration::from_millis(150))),
            ("-1", Pushback::Never),
            ("soon", Pushback::Never),
        ] {
            let headers = fields(&[("grpc-retry-pushback-ms", text)]);
            assert_eq!(read_pushback(&headers), Some(expected), "{text}");
        }
        assert_eq!(read_pushback(&Headers::new()), None);
    }

    #[test]
    fn messages_are_percent_encoded() {
        assert_eq!(percent_encode("100% ü"), "100%25 %C3%BC");
    }
}
