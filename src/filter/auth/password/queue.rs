//! Queue of passwords to check, and the threads that do.

use std::{
    collections::{HashMap, VecDeque, hash_map::Entry},
    net::IpAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use tokio::{sync::oneshot, time::Instant};

use super::{
    Key,
    known::Known,
    suspects::{Suspect, Suspects},
    verify,
};
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
    /// Keyed hash of the name.
    pub(super) name: u64,
    /// False if the hash is that of another user.
    pub(super) is_known: bool,
}

/// The queue.
pub(super) struct Queue {
    state: Mutex<State>,
    wake: Condvar,
    threads_max: usize,
}

/// Jobs that wait.
#[derive(Default)]
struct Lanes {
    /// Those of whom nothing bad is known, one of each name.
    first: VecDeque<Job>,
    /// Those of clients and for names with wrong passwords lately, and for names with other
    /// passwords that wait or are checked.
    second: VecDeque<Job>,
    /// Jobs taken from the first lane while others waited in the second.
    ahead: u32,
}

struct State {
    jobs: Lanes,
    /// Requests that wait for each job.
    waiting: HashMap<Key, Vec<oneshot::Sender<bool>>>,
    /// Jobs of each client.
    clients: HashMap<IpAddr, usize>,
    /// Jobs of each name.
    names: HashMap<u64, usize>,
    /// Good answers.
    known: Known,
    /// Wrong answers lately.
    suspects: Suspects,
    threads: usize,
    idle: usize,
    is_closed: bool,
}

impl Queue {
    pub(super) fn new(threads_max: usize) -> Self {
        Self {
            state: Mutex::new(State {
                jobs: Lanes::default(),
                waiting: HashMap::new(),
                clients: HashMap::new(),
                names: HashMap::new(),
                known: Known::new(KNOWN_MAX),
                suspects: Suspects::new(SUSPECTS_MAX, Instant::now()),
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
        // Several passwords of one name at once are guesses, whoever sends them.
        let is_suspect = state.names.contains_key(&job.name)
            || is_suspect(&state.suspects, &job, Instant::now());
        let lane = state.jobs.lane(is_suspect);
        if lane.len() >= QUEUE_MAX {
            return Err("too many passwords wait to be checked");
        }
        let places = state.clients.entry(job.client).or_default();
        if *places >= CLIENT_MAX {
            return Err("too many passwords of this client wait to be checked");
        }
        *places += 1;
        *state.names.entry(job.name).or_default() += 1;
        state.waiting.insert(job.key, vec![tell]);
        state.jobs.lane(is_suspect).push_back(job);
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
            } else {
                let now = Instant::now();
                state.suspects.note(Suspect::Client(job.client), now);
                state.suspects.note(Suspect::Name(job.name), now);
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
            match state.take() {
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

impl Lanes {
    fn lane(&mut self, is_suspect: bool) -> &mut VecDeque<Job> {
        match is_suspect {
            true => &mut self.second,
            false => &mut self.first,
        }
    }

    /// Takes the next job: of the first lane, but after some of these one of the second.
    fn pop(&mut self, is_suspect: impl Fn(&Job) -> bool) -> Option<Job> {
        // A flood begins in the first lane.
        while self.first.front().is_some_and(&is_suspect) {
            self.second.extend(self.first.pop_front());
        }
        if (self.ahead < AHEAD_MAX || self.second.is_empty())
            && let Some(job) = self.first.pop_front()
        {
            self.ahead = match self.second.is_empty() {
                true => 0,
                false => self.ahead + 1,
            };
            return Some(job);
        }
        self.ahead = 0;
        self.second.pop_front()
    }

    fn len(&self) -> usize {
        self.first.len() + self.second.len()
    }
}

impl State {
    fn take(&mut self) -> Option<Job> {
        let now = Instant::now();
        let suspects = &self.suspects;
        self.jobs.pop(|job| is_suspect(suspects, job, now))
    }

    /// Returns true unless all clients that wait for it have left.
    fn is_wanted(&self, job: &Job) -> bool {
        let waiting = self.waiting.get(&job.key);
        waiting.is_some_and(|waiting| waiting.iter().any(|it| !it.is_closed()))
    }

    /// Gives back the places of a job, and returns those that wait for it.
    fn end(&mut self, job: &Job) -> Vec<oneshot::Sender<bool>> {
        one_less(self.clients.entry(job.client));
        one_less(self.names.entry(job.name));
        self.waiting.remove(&job.key).unwrap_or_default()
    }
}

fn one_less<K>(counted: Entry<'_, K, usize>) {
    if let Entry::Occupied(mut counted) = counted {
        *counted.get_mut() -= 1;
        if *counted.get() == 0 {
            counted.remove();
        }
    }
}

/// Returns true if a job belongs into the second lane.
fn is_suspect(suspects: &Suspects, job: &Job, now: Instant) -> bool {
    suspects.has(Suspect::Client(job.client), now) || suspects.has(Suspect::Name(job.name), now)
}

/// Passwords that wait in one lane.
const QUEUE_MAX: usize = 64;
/// Passwords of one client that wait or are checked.
const CLIENT_MAX: usize = 4;
/// Requests that wait for one password.
const WAITING_MAX: usize = 256;
/// Good answers that are remembered for all workers.
const KNOWN_MAX: usize = 16_384;
/// Clients and names whose wrong passwords are counted.
const SUSPECTS_MAX: usize = 16_384;
/// Jobs of the first lane that go before one of the second.
const AHEAD_MAX: u32 = 3;
const NICENESS: i32 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// A queue without threads: what is pushed stays.
    fn queue() -> Arc<Queue> {
        Arc::new(Queue::new(0))
    }

    fn push(queue: &Arc<Queue>, client: u8, number: u8) -> Result<(), &'static str> {
        let mut key = [0; 32];
        key[..2].copy_from_slice(&[client, number]);
        let job = Job {
            key,
            users: Arc::default(),
            at: 0,
            password: Box::default(),
            client: [192, 0, 2, client].into(),
            name: u64::from(client),
            is_known: true,
        };
        Queue::push(queue, job).map(drop)
    }

    fn guesses(queue: &Queue, client: u8) {
        let now = Instant::now();
        let client = Suspect::Client([192, 0, 2, client].into());
        for _ in 0..2 {
            queue.lock().suspects.note(client, now);
        }
    }

    #[test]
    fn whoever_comes_does_not_wait_behind_those_who_guess() {
        let queue = queue();
        for client in 1..=8 {
            guesses(&queue, client);
            push(&queue, client, 0).unwrap();
        }
        for client in 101..=106 {
            push(&queue, client, 0).unwrap();
        }
        let mut state = queue.lock();
        let order = std::iter::from_fn(|| state.take()).map(|job| job.key[0]);
        let order: Vec<u8> = order.collect();
        let expected = [101, 102, 103, 1, 104, 105, 106, 2, 3, 4, 5, 6, 7, 8];
        assert_eq!(
            order, expected,
            "one in four, so that they get answers, too"
        );
    }

    #[test]
    fn a_flood_for_one_name_holds_nobody_up_from_its_first_guess_on() {
        let queue = queue();
        let job = |number: u8, name| Job {
            key: [number; 32],
            users: Arc::default(),
            at: 0,
            password: Box::default(),
            client: [198, 51, 100, number].into(),
            name,
            is_known: true,
        };
        for number in 1..=20 {
            Queue::push(&queue, job(number, 7)).unwrap();
        }
        Queue::push(&queue, job(101, 8)).unwrap();
        let mut state = queue.lock();
        let order = [state.take().unwrap(), state.take().unwrap()];
        assert_eq!(order.each_ref().map(|job| job.key[0]), [1, 101]);
        // The name is like any other once its last guess is checked.
        let [first, _] = &order;
        drop(state.end(first));
        while let Some(job) = state.take() {
            drop(state.end(&job));
        }
        drop(state);
        Queue::push(&queue, job(30, 7)).unwrap();
        let state = queue.lock();
        assert_eq!((state.jobs.first.len(), state.jobs.second.len()), (1, 0));
    }

    #[test]
    fn who_turns_out_to_guess_lets_others_go_first() {
        let queue = queue();
        for client in 1..=4 {
            push(&queue, client, 0).unwrap();
        }
        push(&queue, 101, 0).unwrap();
        (1..=4).for_each(|client| guesses(&queue, client));
        let first = queue.lock().take();
        assert_eq!(first.map(|job| job.key[0]), Some(101));
    }

    #[test]
    fn those_who_guess_leave_places_for_others() {
        let queue = queue();
        for client in 0..=u8::MAX {
            guesses(&queue, client);
        }
        let pushed = (0..200).filter(|client| push(&queue, *client, 0).is_ok());
        assert_eq!(pushed.count(), QUEUE_MAX);
        let other = Job {
            key: [255; 32],
            users: Arc::default(),
            at: 0,
            password: Box::default(),
            client: [198, 51, 100, 1].into(),
            name: 1000,
            is_known: true,
        };
        assert!(Queue::push(&queue, other).is_ok());
    }
}
