//! Making of large answers: one after the other, on a thread that gives way to the workers.
//!
//! A scrape of many endpoints takes much CPU and memory. However many clients ask, one answer is
//! made at a time, and those that wait to be read take up to [`ROOM`]; the others wait for them.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{SyncSender, sync_channel},
    },
    thread,
};

use http::StatusCode;
use http_body::Body as _;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, oneshot},
};

use super::reply::{self, Reply};

/// Answers of one kind: the slow ones do not hold up the others.
pub(super) struct Reads {
    name: &'static str,
    thread: Mutex<Option<SyncSender<Job>>>,
    /// In KiB.
    room: Arc<Semaphore>,
    /// Size of the last answer of each entry, in KiB.
    sizes: Mutex<HashMap<&'static str, u32>>,
}

/// Part of the room, given back once an answer is read or gone.
pub(super) type RoomPermit = OwnedSemaphorePermit;

type Job = Box<dyn FnOnce() + Send>;

impl Reads {
    /// Makes them for a thread of this name, which starts at the first read.
    pub(super) fn new(name: &'static str) -> Self {
        Self {
            name,
            thread: Mutex::default(),
            room: Arc::new(Semaphore::new(ROOM as usize)),
            sizes: Mutex::default(),
        }
    }

    /// Has an answer made in its turn. A panic ends in a 500.
    ///
    /// Cancel safe: of a client that leaves, nothing is made any more.
    pub(super) async fn answer(
        &self,
        entry: &'static str,
        make: impl FnOnce() -> Reply + Send + 'static,
    ) -> Reply {
        // The size is known afterwards only; it mostly is that of the last time.
        let expected = self.sizes().get(entry).copied().unwrap_or_default();
        let room = Arc::clone(&self.room).acquire_many_owned(expected).await;
        let (done, made) = oneshot::channel();
        let job = Box::new(move || {
            if !done.is_closed() {
                let _ = done.send(make());
            }
        });
        if !self.send(job) {
            return bug();
        }
        let (Ok(mut reply), Ok(room)) = (made.await, room) else {
            return bug();
        };
        let kib = reply.body().size_hint().exact().unwrap_or_default() / 1024;
        let kib = u32::try_from(kib).map_or(ROOM, |kib| kib.min(ROOM));
        self.sizes().insert(entry, kib);
        reply.body_mut().hold(self.fitted(room, kib));
        reply
    }

    /// Gives back what is too much, and takes what is missing as far as there is any.
    fn fitted(&self, mut room: RoomPermit, kib: u32) -> RoomPermit {
        let held = u32::try_from(room.num_permits()).unwrap_or(u32::MAX);
        if let Some(surplus) = held.checked_sub(kib) {
            drop(room.split(surplus as usize));
        } else if let Ok(more) = Arc::clone(&self.room).try_acquire_many_owned(kib - held) {
            room.merge(more);
        }
        room
    }

    /// Returns false if the system cannot make a thread, or too much waits for it.
    fn send(&self, job: Job) -> bool {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.is_none() {
            *thread = start(self.name);
        }
        thread.as_ref().is_some_and(|it| it.try_send(job).is_ok())
    }

    fn sizes(&self) -> std::sync::MutexGuard<'_, HashMap<&'static str, u32>> {
        self.sizes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Starts a thread that works until nobody can ask it any more.
fn start(name: &str) -> Option<SyncSender<Job>> {
    let (jobs, asked) = sync_channel::<Job>(WAITING_MAX);
    let runtime = Handle::current();
    let work = move || {
        let _inside = runtime.enter();
        // Workers come first. What fails here changes nothing but that.
        let _ = rustix::process::setpriority_process(None, NICENESS);
        for job in asked {
            // The hook has told of a panic; whoever waits for the answer gets none.
            let _ = catch_unwind(AssertUnwindSafe(job));
        }
    };
    let started = thread::Builder::new().name(name.to_owned()).spawn(work);
    started.ok().map(|_| jobs)
}

fn bug() -> Reply {
    tracing::error!("a request to the admin API failed");
    let sentence = "the proxy failed to answer; this is a bug in it";
    reply::error(StatusCode::INTERNAL_SERVER_ERROR, sentence)
}

/// Room for answers that wait to be read, in KiB.
const ROOM: u32 = 32 * 1024;
/// Maximum number of reads that wait for their turn; connections are fewer.
const WAITING_MAX: usize = 256;
/// Weight of a tenth of a worker's.
const NICENESS: i32 = 10;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    fn large() -> Reply {
        reply::text("text/plain", "x".repeat(20 << 20))
    }

    #[tokio::test]
    async fn answers_that_nobody_reads_hold_up_large_ones_only() {
        let reads = Reads::new("reads");
        let first = reads.answer("/large", large).await;
        let mut second = std::pin::pin!(reads.answer("/large", large));
        let waits = timeout(Duration::from_millis(50), second.as_mut()).await;
        assert!(waits.is_err());
        let small = || reply::text("text/plain", "ok".to_owned());
        assert_eq!(reads.answer("/small", small).await.status(), 200);
        drop(first);
        assert_eq!(second.await.status(), 200);
        assert_eq!(reads.room.available_permits(), ROOM as usize);
    }

    #[tokio::test]
    async fn a_panic_ends_in_an_answer_and_the_next_read_is_made() {
        let reads = Reads::new("reads");
        let broken = reads.answer("/", || panic!("of the test")).await;
        assert_eq!(broken.status(), 500);
        let whole = reads.answer("/", || reply::text("text/plain", String::new()));
        assert_eq!(whole.await.status(), 200);
    }
}
