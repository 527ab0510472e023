//! The servers of one ensemble, tried in turn.

use std::time::Duration;

use super::{Session, ZooKeeperError};
use crate::config::value::{EndpointAddress, Secret};

/// Servers that share one state, and what was seen of it: no server that is behind is believed.
#[derive(Debug)]
pub struct Ensemble {
    servers: Vec<EndpointAddress>,
    login: Option<(String, Secret)>,
    /// Number of the server to try next.
    next: usize,
    /// The newest state that was seen.
    seen: i64,
    /// Servers in a row that were behind it, apart from those that gave no answer.
    behind: usize,
}

impl Ensemble {
    /// Nothing is known of its state yet; begins with any server.
    pub fn new(servers: &[EndpointAddress], login: Option<&(String, Secret)>) -> Self {
        Self {
            servers: servers.to_vec(),
            login: login.cloned(),
            next: rand::random_range(0..servers.len().max(1)),
            seen: 0,
            behind: 0,
        }
    }

    /// Begins a session with the next server, that lasts for so long without a word.
    pub async fn open(
        &mut self,
        lasts: Duration,
    ) -> (EndpointAddress, Result<Session, ZooKeeperError>) {
        let server = self.servers[self.next % self.servers.len()].clone();
        self.next = (self.next + 1) % self.servers.len();
        let opened = Session::open(&server, self.login.as_ref(), self.seen, lasts).await;
        match &opened {
            Ok(_) => self.behind = 0,
            Err(ZooKeeperError::Behind) => self.fell_behind(),
            Err(_) => {}
        }
        (server, opened)
    }

    /// Notes the state that a session has seen.
    pub fn saw(&mut self, seen: i64) {
        self.seen = self.seen.max(seen);
    }

    /// Believes servers that stay behind: they have begun anew, without their data.
    fn fell_behind(&mut self) {
        self.behind += 1;
        if self.behind >= ROUNDS_BEHIND * self.servers.len() {
            tracing::warn!(
                server = %self.servers[0],
                "ZooKeeper knows less than it did, and stays so: it is taken to have lost its data"
            );
            (self.seen, self.behind) = (0, 0);
        }
    }
}

/// Rounds over all servers after which those that are behind are believed. One that only follows
/// slowly, or starts, has caught up by then.
const ROUNDS_BEHIND: usize = 3;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_given_up_when_every_server_stays_behind_it() {
        let server = |port: u16| {
            let address = format!("127.0.0.1:{port}");
            EndpointAddress::parse(&address, std::path::Path::new("/")).unwrap()
        };
        let mut ensemble = Ensemble::new(&[server(1), server(2)], None);
        ensemble.saw(9);
        ensemble.saw(7);
        for _ in 0..5 {
            ensemble.fell_behind();
            assert_eq!(ensemble.seen, 9);
        }
        ensemble.fell_behind();
        assert_eq!((ensemble.seen, ensemble.behind), (0, 0));
    }
}
