//! Queue of passwords to check, and the threads that do.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    net::IpAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use tokio::sync::oneshot;

use super::{Key, known::Known, verify};
use crate::config::value::Htpasswd;

/// A password to check.
pub(super) struct Job {
    /// Identity of name, stored hash and password.
    pub(super) key: Key,
    /// The users.
    pub(super) users: Arc<Htpasswd>,
    /// Place of the one whose hash is checked.
    pub(super) at: usize,
    /// The password.
    pub(super) password: Box<[u8]>,
    /// The client.
    pub(super) client: IpAddr,
    /// False if the hash is that of another user.
    pub(super) is_known: bool,
}

/// The queue.
pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    threads_max: usize,
}

struct State {
    jobs: VecDeque<Job>,
    /// Requests that wait for each job.
    waiting: HashMap<Key, Vec<oneshot::Sender<bool>>>,
    /// Jobs of each client.
    clients: HashMap<IpAddr, usize>,
    /// Good answers.
    known: Known,
    threads: usize,
    idle: usize,
    is_closed: bool,
}

impl Queue {
    pub(super) fn new(threads_max: usize) -> Self {
        Self {
            state: Mutex::new(State {
                jobs: VecDeque::new(),
                waiting: HashMap::new(),
                clients: HashMap::new(),
                known: Known::new(KNOWN_MAX),
                threads: 0,
                idle: 0,
                is_closed: false,
            }),
            wake: Condvar::new(),
            threads_max,
        }
    }

    /// Queues a job, unless its answer is known.
    ///
    /// # Errors
    /// The reason why there is no place for it.
    pub(super) fn push(
        queue: &Arc<Self>,
        job: Job,
    ) -> Result<oneshot::Receiver<bool>, &'static str> {
        let (tell, answer) = oneshot::channel();
        let mut state = queue.lock();
        if job.is_known && state.known.contains(&job.key) {
            let _ = tell.send(true);
            return Ok(answer);
        }
        if let Some(waiting) = state.waiting.get_mut(&job.key) {
            if waiting.len() >= WAITING_MAX {
                return Err("too many requests wait for the same password");
            }
            waiting.push(tell);
            return Ok(answer);
        }
        if state.jobs.len() >= QUEUE_MAX {
            return Err("too many passwords wait to be checked");
        }
        let places = state.clients.entry(job.client).or_default();
        if *places >= CLIENT_MAX {
            return Err("too many passwords of this client wait to be checked");
        }
        *places += 1;
        state.waiting.insert(job.key, vec![tell]);
        state.jobs.push_back(job);
        if state.jobs.len() > state.idle && state.threads < queue.threads_max {
            let shared = Arc::clone(queue);
            let named = thread::Builder::new().name("passwords".to_owned());
            match named.spawn(move || shared.work()) {
                Ok(_) => state.threads += 1,
                Err(error) => {
                    tracing::error!(%error, "passwords: the system gives no thread to check them");
                }
            }
        }
        drop(state);
        queue.wake.notify_one();
        Ok(answer)
    }

    /// Ends the threads.
    pub(super) fn close(&self) {
        self.lock().is_closed = true;
        self.wake.notify_all();
    }

    fn work(&self) {
        // Traffic goes first. Of this thread alone, and it may be refused.
        let _ = rustix::process::setpriority_process(None, NICENESS);
        while let Some(job) = self.next() {
            let check = || verify::matches(&job.users.users()[job.at].hash, &job.password);
            // A bug in a hash function must not let anybody in, nor keep everybody out.
            let right = catch_unwind(AssertUnwindSafe(check)).unwrap_or(false);
            let mut state = self.lock();
            if right && job.is_known {
                state.known.insert(job.key);
            }
            for waiting in state.end(&job) {
                let _ = waiting.send(right && job.is_known);
            }
        }
    }

    /// Waits for a job that somebody waits for.
    fn next(&self) -> Option<Job> {
        let mut state = self.lock();
        while !state.is_closed {
            match state.jobs.pop_front() {
                Some(job) if state.is_wanted(&job) => return Some(job),
                Some(job) => drop(state.end(&job)),
                None => {
                    state.idle += 1;
                    state = self
                        .wake
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                    state.idle -= 1;
                }
            }
        }
        None
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Returns true unless all clients that wait for it have left.
    fn is_wanted(&self, job: &Job) -> bool {
        let waiting = self.waiting.get(&job.key);
        waiting.is_some_and(|waiting| waiting.iter().any(|it| !it.is_closed()))
    }

    /// Gives back the places of a job, and returns those that wait for it.
    fn end(&mut self, job: &Job) -> Vec<oneshot::Sender<bool>> {
        if let Entry::Occupied(mut places) = self.clients.entry(job.client) {
            *places.get_mut() -= 1;
            if *places.get() == 0 {
                places.remove();
            }
        }
        self.waiting.remove(&job.key).unwrap_or_default()
    }
}

/// Passwords that wait.
const QUEUE_MAX: usize = 64;
/// Passwords of one client that wait or are checked.
const CLIENT_MAX: usize = 4;
/// Requests that wait for one password.
const WAITING_MAX: usize = 256;
/// Good answers that are remembered for all workers.
const KNOWN_MAX: usize = 16_384;
const NICENESS: i32 = 10;
