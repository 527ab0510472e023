//! One look-up: the servers in turn, each with a bounded time, and aliases followed from one answer
//! to the next.

use std::{
    fmt,
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use hickory_proto::{
    op::Message,
    rr::{Name, RData, Record, RecordType},
};

use super::{
    exchange::{ServerFault, Transport, ask},
    reading::{ALIASES_MAX, Reading, read},
};

/// Servers to ask.
#[derive(Debug)]
pub(super) struct Servers {
    addresses: Vec<SocketAddr>,
    /// Time that each has for its first answer.
    timeout: Duration,
    /// Rounds; the time of a server doubles with each.
    rounds: u32,
    transport: Transport,
    /// The one that answered last, which is asked first.
    preferred: AtomicUsize,
}

/// Result of a look-up.
#[derive(Clone, Debug)]
pub(super) enum Outcome {
    /// Records of the type, with their time to live, and records that the server added.
    Records {
        records: Vec<RData>,
        ttl: Duration,
        additional: Vec<Record>,
    },
    /// None, as a server says that ought to know.
    None {
        is_name: bool,
        ttl: Option<Duration>,
    },
    /// No answer that can be used.
    Failed(LookupFault),
}

/// Reasons why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LookupFault {
    /// No server has an answer.
    #[error("no name server has an answer: {0}")]
    Servers(ServerFaults),
    /// Aliases that never end.
    #[error("its aliases (CNAME) lead in a circle, or are more than {ALIASES_MAX}")]
    Circle,
}

/// Fault of each server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFaults(Vec<(SocketAddr, ServerFault)>);

impl LookupFault {
    /// Returns true if no server answered at all.
    pub(super) fn is_silence(&self) -> bool {
        match self {
            Self::Servers(ServerFaults(faults)) => faults.iter().all(|(_, fault)| {
                matches!(fault, ServerFault::Silent | ServerFault::Unreachable(_))
            }),
            Self::Circle => false,
        }
    }
}

impl fmt::Display for ServerFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (server, fault)) in self.0.iter().enumerate() {
            let comma = if at == 0 { "" } else { ", " };
            write!(f, "{comma}{server} {fault}")?;
        }
        Ok(())
    }
}

impl Servers {
    pub(super) fn new(
        addresses: Vec<SocketAddr>,
        timeout: Duration,
        rounds: u32,
        transport: Transport,
    ) -> Self {
        Self {
            addresses,
            timeout,
            rounds,
            transport,
            preferred: AtomicUsize::new(0),
        }
    }

    /// Looks up the records of one type.
    pub(super) async fn look_up(&self, name: &Name, kind: RecordType) -> Outcome {
        let mut name = name.clone();
        let mut least = Duration::MAX;
        for _ in 0..ALIASES_MAX {
            let answer = match self.ask(&name, kind).await {
                Ok(answer) => answer,
                Err(faults) => return Outcome::Failed(LookupFault::Servers(faults)),
            };
            match read(&answer, &name, kind) {
                Reading::Records(records, ttl) => {
                    return Outcome::Records {
                        records,
                        ttl: ttl.min(least),
                        additional: answer.additionals,
                    };
                }
                Reading::None { is_name, ttl } => {
                    let ttl = ttl.map(|ttl| ttl.min(least));
                    return Outcome::None { is_name, ttl };
                }
                Reading::Alias(to, ttl) => {
                    name = to;
                    least = least.min(ttl);
                }
                Reading::Circle => break,
            }
        }
        Outcome::Failed(LookupFault::Circle)
    }

    /// Asks one server after the other.
    async fn ask(&self, name: &Name, kind: RecordType) -> Result<Message, ServerFaults> {
        let count = self.addresses.len();
        let mut faults: Vec<Option<ServerFault>> = vec![None; count];
        let first = self.preferred.load(Ordering::Relaxed);
        for round in 0..self.rounds {
            for step in 0..count {
                let at = (first + step) % count;
                // What it has said it would say again; what was lost on the way may not be.
                if !matches!(faults[at], None | Some(ServerFault::Silent)) {
                    continue;
                }
                let limit = self.timeout * (1 << round.min(4));
                match ask(self.addresses[at], name, kind, limit, self.transport).await {
                    Ok(answer) => {
                        self.preferred.store(at, Ordering::Relaxed);
                        return Ok(answer);
                    }
                    Err(fault) => faults[at] = Some(fault),
                }
            }
        }
        let servers = self.addresses.iter().copied();
        let faults = servers.zip(faults.into_iter().flatten());
        Err(ServerFaults(faults.collect()))
    }
}
