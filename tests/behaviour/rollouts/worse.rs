//! Versions that are worse by little, or die on the way.

use std::{
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use super::{
    ONE_STEP, becomes, becomes_in_time, failing, is_rolled_back_from, text,
    users::{Asks, Users},
};
use crate::harness::{Act, Backend, Seen, Settings, answer, eventually, identity};

/// Errors alone are compared, so that all of the chance of an error is theirs.
const ERRORS: &str = r#"
    steps = [{ share = "40%", hold = "1h" }]
    gate = { volume_min = 30 }
"#;

const TAIL: &str = r#"
    steps = [{ share = "40%", hold = "1h" }]
    gate = { volume_min = 30, latency = { quantile = 0.99, ratio_max = 1.3 } }
"#;

/// Answers one request of 20 after `slow`.
fn with_tail(name: &'static str, slow: Duration) -> impl Fn(&Seen) -> Vec<Act> + Send + Sync {
    let count = AtomicU32::new(0);
    move |_| {
        let count = count.fetch_add(1, Ordering::Relaxed);
        let mut acts = match count.is_multiple_of(20) {
            true => vec![Act::Pause(slow)],
            false => Vec::new(),
        };
        acts.extend(answer(name));
        acts
    }
}

#[tokio::test]
async fn a_version_with_one_percent_more_errors_is_rolled_back() {
    let old = Backend::start(identity("1")).await;
    let new = Backend::start(failing(100)).await;
    let why = "of the candidate's requests fail";
    is_rolled_back_from(ERRORS, &old, "1 % more errors", &new, Asks::Gets, why).await;
}

#[tokio::test]
async fn a_version_with_half_as_long_a_tail_again_is_rolled_back() {
    let old = Backend::start(with_tail("1", Duration::from_millis(200))).await;
    let new = Backend::start(with_tail("2", Duration::from_millis(300))).await;
    let why = "the candidate is slower";
    is_rolled_back_from(TAIL, &old, "p99 x 1.5", &new, Asks::Gets, why).await;
}

#[tokio::test]
async fn a_version_that_dies_in_a_step_is_rolled_back_and_hurts_nobody() {
    let old = Backend::start(identity("1")).await;
    let mut new = Backend::start(identity("2")).await;
    // Each of its users needs another attempt until it is rolled back, however slow this machine is.
    let text = text(ONE_STEP);
    let pool = "ejection = false\nretry_budget = { ratio = \"100%\" }";
    let settings = Settings::new(&text.replace("ejection = false", pool));
    let settings = settings.backend("old", &old).backend("new", &new);
    let proxy = settings.start().await;
    becomes(&proxy, "running").await;
    let users = Users::start(proxy.address("web"), 200, Asks::Gets);
    eventually("it serves", || async { (new.count() >= 20).then_some(()) }).await;
    new.kill().await;
    let told = becomes_in_time(&proxy, "rolled_back").await;
    let took = users.took();
    users.reach_all().await;
    let seen = users.stop().await;
    eprintln!(
        "dies: rolled back after {took:.1?}, {} users hurt; {}",
        seen.hurt.len(),
        told["reason"]
    );
    assert_eq!(
        seen.failed, 0,
        "requests that found it dead were repeated: {seen:?}"
    );
    proxy.finish().await;
}
