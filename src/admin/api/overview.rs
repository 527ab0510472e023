//! The overview: one sample a second for all who watch, and none while nobody does.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

use super::super::figures::Figures;
use super::super::model::Overview;
use super::super::operations::Operations;
use super::super::reply::{self, Reply};
use super::{ApiCall, ApiState, bug};

/// The last sample, shared by all who watch.
#[derive(Default)]
pub(in super::super) struct Sampler {
    last: Mutex<Option<Sample>>,
}

struct Sample {
    figures: Figures,
    overview: Arc<Overview>,
}

/// `GET /overview`
pub(super) async fn overview(call: ApiCall) -> Reply {
    match newest(&call.shared).await {
        Ok(overview) => reply::json(StatusCode::OK, &*overview),
        Err(reply) => reply,
    }
}

/// The newest overview as a server-sent event, without an id: after a break only events follow
/// that were missed.
pub(super) async fn frame(shared: &ApiState) -> Bytes {
    let overview = newest(shared).await.ok();
    let data = overview.and_then(|it| serde_json::to_string(&*it).ok());
    data.map_or_else(Bytes::new, |data| {
        Bytes::from(format!("event: overview\ndata: {data}\n\n"))
    })
}

/// Returns an overview that is at most [`SAMPLE`] old; waits that long for the first.
async fn newest(shared: &ApiState) -> Result<Arc<Overview>, Reply> {
    let mut last = shared.sampler.last.lock().await;
    let now = Instant::now();
    let before = match last.take() {
        Some(sample) if now < sample.figures.taken + SAMPLE_USE => {
            if now < sample.figures.taken + SAMPLE {
                let overview = Arc::clone(&sample.overview);
                *last = Some(sample);
                return Ok(overview);
            }
            sample.figures
        }
        // Rates over a long pause would say nothing of the last moments.
        _ => {
            let first = read(shared, |proxy| proxy.figures()).await?;
            sleep(SAMPLE).await;
            first
        }
    };
    let sample = read(shared, move |proxy| sample(proxy, &before)).await?;
    let (figures, overview) = sample;
    let overview = Arc::new(overview);
    *last = Some(Sample {
        figures,
        overview: Arc::clone(&overview),
    });
    Ok(overview)
}

async fn read<T: Send + 'static>(
    shared: &ApiState,
    work: impl FnOnce(&dyn Operations) -> T + Send + 'static,
) -> Result<T, Reply> {
    let operations = Arc::clone(&shared.operations);
    let done = tokio::task::spawn_blocking(move || work(&*operations)).await;
    done.map_err(|error| bug(&error))
}

fn sample(proxy: &dyn Operations, before: &Figures) -> (Figures, Overview) {
    let figures = proxy.figures();
    let over = figures.taken.duration_since(before.taken);
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let mut left_out = 0;
    let mut pools = proxy.loaded_pools(ENDPOINTS_MAX);
    cut(&mut pools, LIST_MAX, &mut left_out);
    let mut room = ENDPOINTS_MAX;
    for pool in &mut pools {
        cut(&mut pool.endpoints, room, &mut left_out);
        room -= pool.endpoints.len();
    }
    let mut routes = figures.routes_since(before);
    cut(&mut routes, LIST_MAX, &mut left_out);
    let mut attempts = figures.attempts_since(before);
    attempts.truncate(LIST_MAX);
    let overview = Overview {
        time_unix_ms: since_epoch.map_or(0, millis),
        over_ms: millis(over),
        ready: proxy.ready(),
        status: proxy.status(),
        requests: figures.requests_since(before),
        routes,
        attempts,
        pools,
        listeners: proxy.listeners(),
        rollouts: proxy.rollouts(),
        certificates: proxy.certificates(),
        left_out,
    };
    (figures, overview)
}

fn cut<T>(list: &mut Vec<T>, max: usize, left_out: &mut usize) {
    *left_out += list.len().saturating_sub(max);
    list.truncate(max);
}

/// Age at which a sample is followed by another.
const SAMPLE: Duration = Duration::from_millis(950);

/// Age up to which a sample serves as the one before.
const SAMPLE_USE: Duration = Duration::from_secs(65);

/// Maximum number of routes, and of pools.
const LIST_MAX: usize = 256;

/// Maximum number of endpoints.
const ENDPOINTS_MAX: usize = 2048;
