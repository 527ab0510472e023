//! The step of the walk at which a request of a route with several pools or versions gets one.

use http::StatusCode;
use tokio::time::Instant;

use super::{call::Home, forward};
use crate::{
    exchange::{Attempt, AttemptOutcome, Exchange, Request, Response},
    failure::{Failure, Side},
    rollout::{Choice, Cohort, KnownBy, Rollout, Split, User, UserRules, tally::Outcome},
    semantics::{Known, forwarded::Scheme, grpc, upgrade::Offer},
    state::Action,
    upstream::{HashInput, pool::ViewIndex},
    worker::Connection,
};

/// Sends a request to the pool that its user has by weight, and returns the response to pass on.
///
/// # Errors
/// Those of [`forward::by_cache`].
pub(super) async fn by_weight(
    connection: &Connection,
    exchange: &mut Exchange,
    split: &Split,
    request: &mut Request,
    offer: Option<&Offer>,
) -> Result<Response, Failure> {
    let user = user_of(connection, exchange, &split.users, request);
    let arm = split.choose(&user).ok_or(Failure::NoEndpoint)?;
    exchange.cohort = Some(Box::new(Cohort {
        pool: arm.pool,
        known_by: user.known_by,
        choice: None,
    }));
    if let Some(metrics) = exchange.route_metrics() {
        metrics.count_split(&arm.name);
    }
    let home = Home {
        pool: arm.pool,
        view: arm.view,
    };
    let mut response = forward::by_cache(connection, exchange, home, request, offer).await?;
    give_cookie(exchange, &split.users, &mut response);
    Ok(response)
}

/// Sends a request to the version that its user has in a rollout, and returns the response to pass
/// on. Where no endpoint of that version can serve, the other one does.
///
/// # Errors
/// Those of [`forward::by_cache`].
pub(super) async fn by_version(
    connection: &Connection,
    exchange: &mut Exchange,
    rollout: &Rollout,
    request: &mut Request,
    offer: Option<&Offer>,
) -> Result<Response, Failure> {
    if exchange.call.wanted().is_some() {
        // Who asks for a version gets it: there is nothing to choose, and nothing to compare.
        let home = Home {
            pool: rollout.pool,
            view: ViewIndex::default(),
        };
        return forward::by_cache(connection, exchange, home, request, offer).await;
    }
    let user = user_of(connection, exchange, &rollout.users, request);
    let choice = rollout.choose(&user, &request.headers);
    exchange.cohort = Some(Box::new(Cohort {
        pool: rollout.pool,
        known_by: user.known_by,
        choice: Some(choice),
    }));
    exchange.call.extra().spare = Some(rollout.other_view(choice.arm));
    let home = Home {
        pool: rollout.pool,
        view: rollout.view(choice.arm),
    };
    let mut response = forward::by_cache(connection, exchange, home, request, offer).await?;
    give_cookie(exchange, &rollout.users, &mut response);
    Ok(response)
}

/// Returns the user of a request; a new one if it has nothing to recognise him by.
fn user_of(
    connection: &Connection,
    exchange: &Exchange,
    rules: &UserRules,
    request: &Request,
) -> User {
    let query = request.uri.query();
    let input = HashInput::of_user(&request.headers, query, exchange.client);
    let known = rules.known(&input);
    known.unwrap_or_else(|| UserRules::new_user(connection.worker.draw()))
}

/// Gives a new user the cookie that he is recognised by from now on.
fn give_cookie(exchange: &Exchange, rules: &UserRules, response: &mut Response) {
    let Some(KnownBy::New(number)) = exchange.cohort.as_ref().map(|cohort| cohort.known_by) else {
        return;
    };
    let secure = exchange.scheme == Scheme::Https;
    if let Some(line) = rules.set_cookie(number, secure) {
        response.headers.append(Known::SetCookie, line);
    }
}

/// Counts an exchange at its end for the version that answered, and its first attempt for the version
/// that it went to. Later attempts are not compared: only requests that failed before have them.
///
/// What the proxy or the client caused counts for nobody.
#[cold]
pub(super) fn count(worker: usize, exchange: &Exchange, choice: &Choice, now: Instant) {
    let Some(Action::Rollout(rollout)) = exchange.route().map(|route| &route.action) else {
        return;
    };
    let arm_of = |attempt: &Attempt| rollout.arm_of(attempt.endpoint.endpoint.version.as_ref());
    let shared = &rollout.state.shared;
    let call = &exchange.call;
    if let Some(first) = call.attempts.first()
        && let (Some(arm), Some(epoch)) = (arm_of(first), choice.epoch)
        && let Some(outcome) = outcome_of(exchange, first, now)
        && (!rollout.gate.by_user || shared.is_first(epoch, choice.point))
    {
        shared.count(worker, arm, epoch, outcome);
    }
    if let Some(last) = call.standing()
        && let Some(arm) = arm_of(last)
        && let Some(outcome) = end_of(exchange, last, now)
    {
        shared.answered(worker, arm, choice.point, outcome == Outcome::Bad);
    }
}

/// Outcome of the first attempt; none if it says nothing of its endpoint.
fn outcome_of(exchange: &Exchange, first: &Attempt, now: Instant) -> Option<Outcome> {
    let standing = exchange.call.standing();
    let stands = standing.is_some_and(|it| std::ptr::eq(it, first));
    let Some(outcome) = first.outcome else {
        let left = exchange
            .failure
            .is_some_and(|it| it.side() == Side::Downstream);
        return left.then(|| given_up(exchange, now)).flatten();
    };
    if stands {
        return end_of(exchange, first, now);
    }
    // Another followed it: it had failed.
    match outcome {
        AttemptOutcome::Failed(failure) => {
            (failure.side() == Side::Upstream).then_some(Outcome::Bad)
        }
        AttemptOutcome::Answered(status) if status.is_client_error() => Some(good(exchange, first)),
        AttemptOutcome::Answered(_) => Some(Outcome::Bad),
        AttemptOutcome::Lost => given_up(exchange, now),
    }
}

/// Outcome of the attempt whose answer was passed on; none if it says nothing of its endpoint.
///
/// A failure after the deadline that the client has set is the client's doing: it may have set it so
/// that no endpoint can meet it.
fn end_of(exchange: &Exchange, attempt: &Attempt, now: Instant) -> Option<Outcome> {
    let upstream = |failure: Failure| failure.side() == Side::Upstream;
    let late = exchange.is_given_up(now);
    match attempt.outcome? {
        AttemptOutcome::Failed(_) if late => given_up(exchange, now),
        AttemptOutcome::Failed(failure) => upstream(failure).then_some(Outcome::Bad),
        AttemptOutcome::Answered(status) => {
            let cut = exchange.failure.is_some_and(upstream);
            let bad = cut || is_bad(status, exchange.grpc_status);
            match bad {
                true if late => given_up(exchange, now),
                true => Some(Outcome::Bad),
                false => Some(good(exchange, attempt)),
            }
        }
        AttemptOutcome::Lost => None,
    }
}

/// A good outcome. The time of a request with a body is the client's, too: it says nothing.
fn good(exchange: &Exchange, attempt: &Attempt) -> Outcome {
    match exchange.bytes_in {
        0 => Outcome::Good(attempt.took),
        _ => Outcome::Untimed,
    }
}

/// The client has given up: no verdict, but no faster than that.
fn given_up(exchange: &Exchange, now: Instant) -> Option<Outcome> {
    (exchange.bytes_in == 0).then(|| Outcome::GivenUp(now - exchange.started))
}

fn is_bad(status: StatusCode, grpc_status: Option<u8>) -> bool {
    status.is_server_error() || grpc_status.is_some_and(grpc::is_failure)
}
