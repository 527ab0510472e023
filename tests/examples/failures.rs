//! The table of failures, from the list of them and from the rules of retries.

use std::fmt::Write as _;

use http::StatusCode;
use sluicegate::config::value::RetryOn;
use sluicegate::failure::{BadRequest, Failure, Side};
use sluicegate::resilience::{AttemptResult, Conditions};

use super::generated::compare;

const PAGE: &str = "docs/retries-and-failures.md";

#[test]
fn the_table_of_failures_is_the_list_of_them() {
    let mut table = "| what happened | status | reason | side | tried again |\n".to_owned();
    table.push_str("|---|---|---|---|---|\n");
    for failure in FAILURES {
        let (event, status) = match failure {
            Failure::BadRequest(_) => (
                "the request breaks a rule or a limit ([which](#refused-requests))",
                "4xx, 5xx".to_owned(),
            ),
            Failure::ClientGone | Failure::ClientStalled => {
                (failure.sentence(), "499, in the log only".to_owned())
            }
            _ => (failure.sentence(), failure.status().as_u16().to_string()),
        };
        let side = match failure.side() {
            Side::Downstream => "downstream",
            Side::Upstream => "upstream",
            Side::Proxy => "proxy",
        };
        let (word, again) = (failure.word(), tried_again(*failure));
        let _ = writeln!(
            table,
            "| {event} | {status} | `{word}` | {side} | {again} |"
        );
    }
    compare(PAGE, "failures", &table);
}

#[test]
fn the_table_of_refused_requests_is_the_list_of_rules() {
    let mut table = "| rule | status |\n|---|---|\n".to_owned();
    for rule in RULES {
        let _ = writeln!(
            table,
            "| {} | {} |",
            rule.sentence(),
            rule.status().as_u16()
        );
    }
    compare(PAGE, "refused", &table);
}

/// Says when an attempt that ended so is followed by another.
fn tried_again(failure: Failure) -> &'static str {
    let covered = |condition| {
        let conditions: Conditions = [condition].into_iter().collect();
        conditions.contains(AttemptResult::Failed(failure))
    };
    if failure.side() != Side::Upstream {
        "no"
    } else if covered(RetryOn::RefusedStream) {
        "yes: the endpoint did not process it"
    } else if covered(RetryOn::Connect) && covered(RetryOn::Reset) {
        "yes if nothing was read of it, else if it may be repeated"
    } else if covered(RetryOn::Connect) {
        "yes: nothing was sent"
    } else if covered(RetryOn::Reset) || covered(RetryOn::Status(StatusCode::BAD_GATEWAY)) {
        "if the request may be repeated"
    } else if covered(RetryOn::Timeout) {
        "if it may be repeated and `retry.on` has `\"timeout\"`"
    } else {
        "no"
    }
}

/// Every failure, in the order of its declaration.
const FAILURES: &[Failure] = {
    use Failure::*;
    /// Fails to compile when a failure is missing here: add it below, too.
    const fn known(failure: Failure) {
        match failure {
            RouteNotFound | NoEndpoint | BreakerOpen | LimitReached | DnsFailed | DnsTimeout
            | ConnectRefused | ConnectionClosed | Unroutable | ConnectTimeout | TlsCertificate
            | TlsProtocol | StreamRefused | ResponseTimeout | WriteTimeout | ReadTimeout
            | ResponseMalformed | ResponseHeadTooLarge | ResponseIncomplete | UpgradeFailed
            | BadRequest(_) | SlowHead | SlowBody | Loop | Misdirected | Refused | ClientGone
            | ClientStalled | Shutdown | Internal => {}
        }
    }
    known(Internal);
    &[
        RouteNotFound,
        NoEndpoint,
        BreakerOpen,
        LimitReached,
        DnsFailed,
        DnsTimeout,
        ConnectRefused,
        Unroutable,
        ConnectTimeout,
        TlsCertificate,
        TlsProtocol,
        StreamRefused,
        ConnectionClosed,
        ResponseTimeout,
        WriteTimeout,
        ReadTimeout,
        ResponseMalformed,
        ResponseHeadTooLarge,
        ResponseIncomplete,
        UpgradeFailed,
        BadRequest(sluicegate::failure::BadRequest::Header),
        SlowHead,
        SlowBody,
        Misdirected,
        Refused,
        ClientGone,
        ClientStalled,
        Loop,
        Shutdown,
        Internal,
    ]
};

/// Every rule that a request may break.
const RULES: &[BadRequest] = {
    use BadRequest::*;
    /// Fails to compile when a rule is missing here: add it below, too.
    const fn known(rule: BadRequest) {
        match rule {
            RequestLine | Target | Path | Version | Header | Underscore | Host | ContentLength
            | TransferEncoding | UnknownCoding | WebSocketKey | Chunk | BodyLength | Method
            | TargetTooLong | HeadTooLarge | TooManyHeaders | BodyMax | BodyTooLarge
            | LengthRequired | Expectation | Http2 | NotTls | GrpcWebText | GrpcWebFlags
            | GrpcWebLength => {}
        }
    }
    known(Http2);
    &[
        RequestLine,
        Target,
        Path,
        Header,
        Underscore,
        Host,
        ContentLength,
        TransferEncoding,
        Chunk,
        BodyLength,
        WebSocketKey,
        Http2,
        NotTls,
        GrpcWebText,
        GrpcWebFlags,
        GrpcWebLength,
        Method,
        LengthRequired,
        BodyMax,
        BodyTooLarge,
        TargetTooLong,
        Expectation,
        TooManyHeaders,
        HeadTooLarge,
        UnknownCoding,
        Version,
    ]
};
