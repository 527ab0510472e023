//! Delays and failures on purpose, for people's own tests.
//!
//! Stands before the choice of an endpoint: a request that is delayed holds no place at the pool,
//! and one that is answered here says nothing about its endpoints.

use std::time::Duration;

use http::{HeaderName, StatusCode};

use super::Verdict;
use crate::{
    config::{
        schema::RouteFault,
        value::{Ratio, ValueMatch, duration},
    },
    exchange::{Exchange, Reason, Refusal},
    failure::Failure,
    semantics::Headers,
};

/// The faults of a route.
#[derive(Debug)]
pub struct FaultFilter {
    /// The fault of those that are chosen.
    pub fault: Fault,
    /// Share of the requests that are chosen.
    pub share: Ratio,
    /// Values that the headers of a request must have.
    pub headers: Vec<(HeaderName, ValueMatch)>,
    /// Header by which a client asks for a fault of its own.
    pub ask: Option<HeaderName>,
}

/// A fault: a delay, a failure, or both in this order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// Delay.
    pub delay: Option<Duration>,
    /// Status of the failure.
    pub abort: Option<StatusCode>,
}

impl FaultFilter {
    /// The fault of a request, if it gets one; `draw` is uniform from 0 to 1.
    pub(super) fn fault_of(&self, headers: &Headers, draw: f64) -> Option<Fault> {
        let asked = self.ask.as_ref().and_then(|name| headers.get(name));
        if let Some(asked) = asked.and_then(|value| Fault::parse(value.as_bytes())) {
            return Some(asked);
        }
        let mut conditions = self.headers.iter();
        let fits = conditions.all(|(name, wanted)| {
            let value = headers.get(name);
            wanted.matches(value.map(|value| value.as_bytes()))
        });
        let chosen = self.fault != Fault::default() && fits && draw < self.share.get();
        chosen.then_some(self.fault)
    }
}

impl Fault {
    /// Reads the fault that a client asks for; none if any of it cannot be read.
    fn parse(text: &[u8]) -> Option<Self> {
        let mut fault = Self::default();
        for part in str::from_utf8(text).ok()?.split(',') {
            match part.trim().split_once('=')? {
                ("delay", delay) if fault.delay.is_none() => {
                    let delay = duration::parse(delay).ok()?;
                    fault.delay = Some(delay).filter(|delay| *delay <= RouteFault::DELAY_MAX);
                    fault.delay?;
                }
                ("abort", abort) if fault.abort.is_none() => {
                    let status = StatusCode::from_bytes(abort.as_bytes()).ok()?;
                    let is_failure = status.is_client_error() || status.is_server_error();
                    fault.abort = Some(status).filter(|_| is_failure);
                    fault.abort?;
                }
                _ => return None,
            }
        }
        Some(fault)
    }

    /// Does it to a request.
    pub(super) async fn inject(self, exchange: &mut Exchange) -> Result<Verdict, Failure> {
        if let Some(delay) = self.delay {
            count(exchange, "delay", "");
            tokio::time::sleep(delay).await;
        }
        let Some(status) = self.abort else {
            return Ok(Verdict::Continue);
        };
        let class = if status.is_server_error() {
            "5xx"
        } else {
            "4xx"
        };
        count(exchange, "abort", class);
        let refusal = Refusal::new(status, word(status))
            .sentence("fault injected")
            .detail("fault injected");
        Err(exchange.refuse(refusal))
    }
}

fn count(exchange: &Exchange, kind: &'static str, class: &'static str) {
    if let Some(route) = exchange.route_metrics() {
        route.count_fault(kind, class);
    }
}

/// The word that the proxy has for a failure with this status of its own accord.
fn word(status: StatusCode) -> Reason {
    const NOT_FOUND: Reason = Reason::new("destination_not_found");
    const UNAVAILABLE: Reason = Reason::new("destination_unavailable");
    const TERMINATED: Reason = Reason::new("connection_terminated");
    const LATE: Reason = Reason::new("http_response_timeout");
    const BAD: Reason = Reason::new("http_request_error");
    const INTERNAL: Reason = Reason::new("proxy_internal_error");
    match status.as_u16() {
        401 | 403 | 429 => Reason::DENIED,
        404 => NOT_FOUND,
        502 => TERMINATED,
        503 => UNAVAILABLE,
        504 => LATE,
        400..500 => BAD,
        _ => INTERNAL,
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn filter() -> FaultFilter {
        FaultFilter {
            fault: Fault {
                delay: Some(Duration::from_millis(100)),
                abort: None,
            },
            share: Ratio::percent(20),
            headers: vec![(
                HeaderName::from_static("x-test"),
                ValueMatch::Exact("yes".into()),
            )],
            ask: Some(HeaderName::from_static("x-fault")),
        }
    }

    fn request(fields: &[(&'static str, &str)]) -> Headers {
        let mut headers = Headers::new();
        for (name, value) in fields {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(HeaderName::from_static(name), &value);
        }
        headers
    }

    #[test]
    fn a_share_of_those_that_fit_gets_the_fault() {
        let (filter, fits) = (filter(), request(&[("x-test", "yes")]));
        assert_eq!(filter.fault_of(&fits, 0.19), Some(filter.fault));
        assert_eq!(filter.fault_of(&fits, 0.2), None);
        assert_eq!(filter.fault_of(&request(&[("x-test", "no")]), 0.0), None);
        assert_eq!(filter.fault_of(&request(&[]), 0.0), None);
        let all = FaultFilter {
            share: Ratio::ONE,
            ..filter
        };
        assert!(all.fault_of(&fits, 0.999_999).is_some());
    }

    #[test]
    fn a_client_gets_what_it_asks_for_and_a_wrong_value_is_ignored() {
        let filter = filter();
        let asked = |value: &str| filter.fault_of(&request(&[("x-fault", value)]), 0.99);
        let (delay, abort) = (
            Some(Duration::from_millis(250)),
            Some(StatusCode::BAD_GATEWAY),
        );
        assert_eq!(
            asked("delay=250ms, abort=502"),
            Some(Fault { delay, abort })
        );
        assert_eq!(asked("abort=502"), Some(Fault { delay: None, abort }));
        for wrong in [
            "",
            "502",
            "abort=200",
            "abort=600",
            "abort=5020",
            "delay=2m",
            "delay=soon",
            "abort=502,abort=503",
            "abort=502,",
            "\u{e9}",
            "delay=250ms abort=502",
        ] {
            assert_eq!(asked(wrong), None, "{wrong}");
        }
        let closed = FaultFilter {
            ask: None,
            ..filter
        };
        assert_eq!(
            closed.fault_of(&request(&[("x-fault", "abort=502")]), 0.0),
            None
        );
    }
}
