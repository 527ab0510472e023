//! Every row of the decision.

use super::*;
use crate::config::value::RetryOn;
use crate::semantics::Value;

const MS: Duration = Duration::from_millis(1);

fn policy() -> RetryPolicy {
    let on = [
        RetryOn::Connect,
        RetryOn::Reset,
        RetryOn::RefusedStream,
        RetryOn::Status(StatusCode::SERVICE_UNAVAILABLE),
    ];
    RetryPolicy {
        attempts: 2,
        uncounted_max: 3,
        on: on.into_iter().collect(),
        backoff: Backoff {
            base: 25 * MS,
            max: 250 * MS,
        },
        body_max: 65_536,
        idempotency_key: false,
        hedge: None,
    }
}

/// A GET that was written on a new connection, which then broke.
fn facts() -> Facts {
    Facts {
        attempts: 1,
        uncounted: 0,
        one_left: false,
        outcome: AttemptResult::Failed(Failure::ConnectionClosed),
        written: Written::Something,
        connection: Carrier::New,
        reconnected: false,
        repeatable: true,
        body: Body::Intact,
        response: ResponseProgress::Nothing,
        pushed_back: false,
        caller_retries: false,
        time_over: false,
    }
}

const LATER: RetryVerdict = RetryVerdict::Retry { immediately: false };
const NOW: RetryVerdict = RetryVerdict::Retry { immediately: true };

#[track_caller]
fn expect(verdict: RetryVerdict, change: impl Fn(&mut Facts)) {
    let mut facts = facts();
    change(&mut facts);
    assert_eq!(decide(&policy(), &facts), verdict, "{facts:?}");
}

fn failed(failure: Failure) -> AttemptResult {
    AttemptResult::Failed(failure)
}

fn status(code: u16) -> AttemptResult {
    AttemptResult::Status(StatusCode::from_u16(code).unwrap())
}

#[test]
fn what_was_not_written_goes_elsewhere_at_once_whatever_the_method() {
    let early = [
        Failure::ConnectRefused,
        Failure::ConnectTimeout,
        Failure::Unroutable,
        Failure::DnsFailed,
        Failure::DnsTimeout,
        Failure::ConnectionClosed,
        Failure::WriteTimeout,
    ];
    for failure in early {
        for repeatable in [false, true] {
            expect(NOW, |facts| {
                facts.outcome = failed(failure);
                facts.written = Written::Nothing;
                facts.repeatable = repeatable;
            });
        }
    }
    // The endpoint says so itself, although bytes went out.
    expect(NOW, |facts| {
        facts.outcome = failed(Failure::StreamRefused);
        facts.repeatable = false;
    });
}

#[test]
fn what_was_not_written_ignores_the_list_but_not_the_number_of_attempts() {
    let none = RetryPolicy {
        on: Conditions::default(),
        ..policy()
    };
    let refused = Facts {
        outcome: failed(Failure::ConnectRefused),
        written: Written::Nothing,
        ..facts()
    };
    assert_eq!(decide(&none, &refused), NOW);
    let last = Facts {
        attempts: 2,
        ..refused
    };
    assert_eq!(decide(&none, &last), RetryVerdict::No(Why::AttemptsUsed));
}

#[test]
fn an_attempt_at_which_nothing_was_written_does_not_count_while_an_endpoint_is_left() {
    let refused = |facts: &mut Facts| {
        facts.outcome = failed(Failure::ConnectRefused);
        facts.written = Written::Nothing;
        facts.one_left = true;
        facts.attempts = 2;
        facts.repeatable = false;
    };
    expect(RetryVerdict::MoveOn, refused);
    expect(RetryVerdict::MoveOn, |facts| {
        refused(facts);
        facts.uncounted = 2;
    });
    expect(RetryVerdict::No(Why::AttemptsUsed), |facts| {
        refused(facts);
        facts.uncounted = 3;
    });
    expect(NOW, |facts| {
        refused(facts);
        facts.uncounted = 3;
        facts.attempts = 1;
    });
    expect(RetryVerdict::No(Why::AttemptsUsed), |facts| {
        refused(facts);
        facts.one_left = false;
    });
    // An endpoint that refuses a stream has work enough: that is a try.
    expect(RetryVerdict::No(Why::AttemptsUsed), |facts| {
        refused(facts);
        facts.outcome = failed(Failure::StreamRefused);
        facts.written = Written::Something;
    });
}

#[test]
fn an_idle_session_that_ends_with_an_alert_has_died_like_one_that_was_closed() {
    for failure in [Failure::ConnectionClosed, Failure::TlsProtocol] {
        expect(RetryVerdict::Reconnect, |facts| {
            facts.outcome = failed(failure);
            facts.connection = Carrier::Reused;
            facts.response = ResponseProgress::Nothing;
        });
    }
}

#[test]
fn a_post_that_was_written_is_never_sent_twice() {
    let outcomes = [
        failed(Failure::ConnectionClosed),
        failed(Failure::ResponseTimeout),
        failed(Failure::WriteTimeout),
        failed(Failure::ResponseMalformed),
        status(503),
    ];
    let everything = [
        RetryOn::Connect,
        RetryOn::Reset,
        RetryOn::RefusedStream,
        RetryOn::Timeout,
        RetryOn::ServerError,
        RetryOn::parse("grpc:unavailable").unwrap(),
    ];
    let eager = RetryPolicy {
        on: everything.into_iter().collect(),
        attempts: 10,
        ..policy()
    };
    for outcome in outcomes {
        for connection in [Carrier::New, Carrier::Reused] {
            for reconnected in [false, true] {
                let post = Facts {
                    outcome,
                    connection,
                    reconnected,
                    repeatable: false,
                    ..facts()
                };
                assert!(
                    matches!(decide(&eager, &post), RetryVerdict::No(_)),
                    "{post:?}"
                );
            }
        }
    }
}

#[test]
fn a_reused_connection_that_died_is_replaced_once_without_counting() {
    let reused = |facts: &mut Facts| facts.connection = Carrier::Reused;
    expect(RetryVerdict::Reconnect, reused);
    expect(RetryVerdict::Reconnect, |facts| {
        reused(facts);
        facts.attempts = 2;
    });
    expect(RetryVerdict::Reconnect, |facts| {
        reused(facts);
        facts.repeatable = false;
        facts.written = Written::Nothing;
    });
    expect(LATER, |facts| {
        reused(facts);
        facts.reconnected = true;
    });
    expect(LATER, |facts| {
        reused(facts);
        facts.response = ResponseProgress::Held;
    });
    expect(RetryVerdict::No(Why::NotRepeatable), |facts| {
        reused(facts);
        facts.repeatable = false;
    });
}

#[test]
fn listed_outcomes_are_tried_again_after_a_backoff() {
    expect(LATER, |_| ());
    expect(LATER, |facts| {
        facts.outcome = status(503);
        facts.response = ResponseProgress::Held;
    });
    for outcome in [status(200), status(500), failed(Failure::ResponseTimeout)] {
        expect(RetryVerdict::No(Why::NotListed), |facts| {
            facts.outcome = outcome;
        });
    }
    expect(RetryVerdict::No(Why::NotRepeatable), |facts| {
        facts.outcome = status(503);
        facts.repeatable = false;
    });
}

#[test]
fn what_forbids_another_attempt_forbids_all_ways() {
    let ways: [fn(&mut Facts); 3] = [
        |facts| facts.written = Written::Nothing,
        |facts| facts.connection = Carrier::Reused,
        |facts| facts.outcome = AttemptResult::Status(StatusCode::SERVICE_UNAVAILABLE),
    ];
    for way in ways {
        expect(RetryVerdict::No(Why::BodySpent), |facts| {
            way(facts);
            facts.body = Body::Spent;
        });
        expect(RetryVerdict::No(Why::TimeOver), |facts| {
            way(facts);
            facts.time_over = true;
        });
    }
    expect(RetryVerdict::No(Why::ResponseSent), |facts| {
        facts.response = ResponseProgress::Sent;
    });
    expect(RetryVerdict::No(Why::AttemptsUsed), |facts| {
        facts.attempts = 2;
    });
    for failure in [Failure::ClientGone, Failure::Shutdown, Failure::NoEndpoint] {
        expect(RetryVerdict::No(Why::NotUpstream), |facts| {
            facts.outcome = failed(failure);
            facts.written = Written::Nothing;
        });
    }
}

#[test]
fn a_key_makes_a_post_repeatable_only_where_the_route_says_so() {
    let mut headers = Headers::new();
    let mut policy = policy();
    assert!(policy.is_repeatable(&Method::PUT, &headers));
    policy.idempotency_key = true;
    assert!(!policy.is_repeatable(&Method::POST, &headers));
    headers.insert(Known::IdempotencyKey, Value::from_static("\"8e03978e\""));
    assert!(policy.is_repeatable(&Method::POST, &headers));
    policy.idempotency_key = false;
    assert!(!policy.is_repeatable(&Method::POST, &headers));
}

#[test]
fn the_wait_is_the_longer_of_both_and_fits_the_time_left() {
    let (policy, left) = (policy(), Duration::from_secs(30));
    assert_eq!(policy.wait(1, u64::MAX, None, left), Some(25 * MS));
    let asked = Some(Duration::from_secs(2));
    assert_eq!(policy.wait(1, u64::MAX, asked, left), asked);
    assert_eq!(policy.wait(1, 0, Some(left), left), None);
}

#[test]
fn a_listed_grpc_status_is_repeated_although_every_call_is_a_post() {
    let listed = RetryPolicy {
        on: [RetryOn::parse("grpc:unavailable").unwrap()]
            .into_iter()
            .collect(),
        ..policy()
    };
    let call = Facts {
        outcome: AttemptResult::Grpc(14),
        repeatable: false,
        response: ResponseProgress::Held,
        ..facts()
    };
    assert_eq!(decide(&listed, &call), LATER);
    let other = Facts {
        outcome: AttemptResult::Grpc(3),
        ..call
    };
    assert_eq!(decide(&listed, &other), RetryVerdict::No(Why::NotListed));
    let pushed_back = Facts {
        pushed_back: true,
        ..call
    };
    assert_eq!(
        decide(&listed, &pushed_back),
        RetryVerdict::No(Why::PushedBack)
    );
}

#[test]
fn a_caller_that_retries_gets_one_attempt_unless_nothing_was_written() {
    expect(RetryVerdict::No(Why::CallerRetries), |facts| {
        facts.caller_retries = true;
    });
    expect(RetryVerdict::MoveOn, |facts| {
        facts.caller_retries = true;
        facts.written = Written::Nothing;
        facts.one_left = true;
    });
}
