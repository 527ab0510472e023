//! Passwords checked beside the workers.
//!
//! Checking a password takes as long as whoever made its hash wanted: often a tenth of a second. It
//! is done by a few threads of low priority with a bounded queue. A client has few places in it, so
//! that one cannot keep the others out; and checks of clients and names with wrong passwords lately,
//! and of names with several passwords at once, wait in a lane of their own, of which one comes to
//! three of the others. Equal requests share one check. Good answers are remembered,
//! on each worker and for all of them, by a keyed hash of name, stored hash and password; a changed
//! file thereby forgets them. For an unknown user a stored hash of another one is checked, so that
//! the time does not tell who is known.

mod apr1;
mod crypt_text;
mod known;
mod queue;
mod suspects;
mod verify;

use std::{cell::RefCell, fmt, net::IpAddr, sync::Arc, time::Duration};

use aws_lc_rs::hmac;

use self::{
    known::Known,
    queue::{Job, Queue},
};
use crate::{config::value::Htpasswd, semantics::address::client_network, timer};

/// Checks passwords.
pub struct PasswordChecks {
    secret: hmac::Key,
    queue: Arc<Queue>,
}

/// Verdict on a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PasswordVerdict {
    /// It is right.
    Right,
    /// It is wrong.
    Wrong,
    /// There is no such user.
    Unknown,
    /// It cannot be checked now.
    Busy(&'static str),
}

/// Keyed hash of name, stored hash and password.
type Key = [u8; 32];

thread_local! {
    /// Good answers that this worker knows.
    static KNOWN: RefCell<Known> = RefCell::new(Known::new(KNOWN_BY_WORKER_MAX));
}

impl PasswordChecks {
    /// Makes a queue for this many cores.
    pub fn new(cores: usize) -> Self {
        Self {
            secret: hmac::Key::new(hmac::HMAC_SHA256, &rand::random::<[u8; 32]>()),
            queue: Arc::new(Queue::new((cores / 2).clamp(1, THREADS_MAX))),
        }
    }

    /// Checks the password of a user.
    pub(super) async fn check(
        &self,
        users: &Arc<Htpasswd>,
        name: &str,
        password: &[u8],
        client: IpAddr,
    ) -> PasswordVerdict {
        let found = users.find(name);
        let Some(at) = found.or_else(|| self.stand_in(users, name)) else {
            return PasswordVerdict::Unknown;
        };
        let key = self.key_of(name, &users.users()[at].text, password);
        if found.is_some() && KNOWN.with_borrow_mut(|known| known.contains(&key)) {
            return PasswordVerdict::Right;
        }
        let job = Job {
            key,
            users: Arc::clone(users),
            at,
            password: password.into(),
            client: client_network(client),
            name: self.tag(name),
            is_known: found.is_some(),
        };
        let checking = match Queue::push(&self.queue, job) {
            Ok(checking) => checking,
            Err(why) => return PasswordVerdict::Busy(why),
        };
        let right = match timer::until(timer::now() + PATIENCE, checking).await {
            Ok(Ok(right)) => right,
            Ok(Err(_)) => return PasswordVerdict::Busy("the check of passwords ended early"),
            Err(_) => return PasswordVerdict::Busy("the check of a password takes too long"),
        };
        match (found, right) {
            (Some(_), true) => {
                KNOWN.with_borrow_mut(|known| known.insert(key));
                PasswordVerdict::Right
            }
            (Some(_), false) => PasswordVerdict::Wrong,
            (None, _) => PasswordVerdict::Unknown,
        }
    }

    /// A user whose hash is checked for an unknown one, always the same for the same name.
    fn stand_in(&self, users: &Htpasswd, name: &str) -> Option<usize> {
        let number = usize::try_from(self.tag(name) >> 8).unwrap_or(usize::MAX);
        number.checked_rem(users.users().len())
    }

    /// A keyed hash of a name.
    fn tag(&self, name: &str) -> u64 {
        let tag = hmac::sign(&self.secret, name.as_bytes());
        let first = tag.as_ref().iter().take(8);
        first.fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }

    fn key_of(&self, name: &str, hash: &str, password: &[u8]) -> Key {
        let mut context = hmac::Context::with_key(&self.secret);
        for part in [name.as_bytes(), hash.as_bytes(), password] {
            context.update(&part.len().to_le_bytes());
            context.update(part);
        }
        let mut key = [0; 32];
        key.copy_from_slice(context.sign().as_ref());
        key
    }
}

impl fmt::Debug for PasswordChecks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordChecks")
    }
}

impl Drop for PasswordChecks {
    fn drop(&mut self) {
        self.queue.close();
    }
}

/// Time that a request waits for the check of its password.
const PATIENCE: Duration = Duration::from_secs(10);
const THREADS_MAX: usize = 8;
/// Good answers that one worker remembers.
const KNOWN_BY_WORKER_MAX: usize = 2048;
