//! Endpoints that a name in DNS has: its addresses, or the targets of its SRV records.
//!
//! The name is looked up again when the time to live of its records is over. An answer that says
//! nothing (no server answers, SERVFAIL, REFUSED) keeps the last list without a limit; one that
//! says that there is nothing (NXDOMAIN, no record) keeps it for `hold`, for it is more often a
//! mistake than meant.

use std::{collections::HashSet, io, net::SocketAddr, sync::Arc, time::Duration};

use hickory_proto::rr::{Name, RData, RecordType, rdata::SRV};
use tokio::time::{Instant, sleep_until};

use self::{
    exchange::Transport,
    lookup::{Outcome, Servers},
    memory::{Key, Known, Memory},
    parallel::look_up_all,
    resolv_conf::{ResolvConf, candidates},
};
use super::{
    BoxFuture, Discovery, DiscoveryError, EndpointList, Skipped, Update, list::ENDPOINTS_MAX,
};
use crate::upstream::endpoint::Endpoint;

mod exchange;
mod list;
mod lookup;
mod memory;
mod parallel;
mod reading;
mod resolv_conf;
mod spec;

pub use exchange::ServerFault;
pub use lookup::{LookupFault, ServerFaults};
pub use spec::{DnsFamily, DnsFault, DnsRecords, DnsSpec};

/// A list of endpoints in DNS.
#[derive(Debug)]
pub struct Dns {
    spec: DnsSpec,
    memory: Memory,
    /// Servers, with the settings of the system that they are from.
    servers: Option<(Option<ResolvConf>, Arc<Servers>)>,
    /// Time of the next look-up; none before the first.
    due: Option<Instant>,
    /// Look-ups in a row that gave no list.
    failures: u32,
}

impl Dns {
    /// Returns the source of the endpoints of a name.
    #[must_use]
    pub fn new(spec: DnsSpec) -> Self {
        let memory = Memory::new((spec.ttl_min, spec.ttl_max), spec.hold);
        Self {
            spec,
            memory,
            servers: None,
            due: None,
            failures: 0,
        }
    }

    /// Looks up what is due, and returns the list.
    async fn refresh(&mut self) -> Result<EndpointList, DiscoveryError> {
        let name = self.spec.name.to_string();
        let (names, servers) = self.settings().await.map_err(|error| {
            self.due = Some(Instant::now() + RETRY_MAX);
            DiscoveryError::Unreachable("/etc/resolv.conf".to_owned(), error)
        })?;
        let mut used = Vec::new();
        let list = self.list(&names, &servers, &mut used).await;
        let now = Instant::now();
        if list.is_err() {
            self.failures += 1;
            let pause = memory::backoff(self.failures, RETRY_MAX);
            let primary = self.primary();
            for key in used.iter().filter(|key| primary.contains(&key.1)) {
                self.memory.hurry(key, now + pause);
            }
        } else {
            self.failures = 0;
        }
        // Many proxies that began together need not ask together.
        let jitter = Duration::from_millis(rand::random_range(0..JITTER_MS));
        let next = self.memory.next(&used).unwrap_or(now + RETRY_MAX);
        self.due = Some(next.max(now) + jitter);
        let kept: HashSet<Key> = used.into_iter().collect();
        self.memory.retain(|key| kept.contains(key));
        list.map_err(|fault| DiscoveryError::Dns(name, fault))
    }

    /// Returns the names to try, and the servers to ask. The same servers stay the same object, which
    /// remembers the one that answered.
    async fn settings(&mut self) -> io::Result<(Vec<Name>, Arc<Servers>)> {
        let written = self.spec.name.as_str();
        if !self.spec.servers.is_empty() {
            let (_, servers) = self.servers.get_or_insert_with(|| {
                let addresses = self.spec.servers.clone();
                let servers = Servers::new(addresses, TIMEOUT, ROUNDS, Transport::Udp);
                (None, Arc::new(servers))
            });
            return Ok((candidates(written, &[], 0), Arc::clone(servers)));
        }
        let reading = tokio::task::spawn_blocking(ResolvConf::of_system).await;
        let system = reading.map_err(io::Error::other)??;
        let names = candidates(written, &system.search, system.ndots);
        if let Some((Some(before), servers)) = &self.servers
            && *before == system
        {
            return Ok((names, Arc::clone(servers)));
        }
        let servers = Arc::new(Servers::new(
            system.servers.clone(),
            system.timeout,
            system.attempts,
            system.transport,
        ));
        self.servers = Some((Some(system), Arc::clone(&servers)));
        Ok((names, servers))
    }

    /// Returns the endpoints of the first of these names that has any, and adds what was used.
    async fn list(
        &mut self,
        names: &[Name],
        servers: &Servers,
        used: &mut Vec<Key>,
    ) -> Result<EndpointList, DnsFault> {
        let kinds = self.primary();
        let mut kept = None;
        let mut gone = false;
        for name in names {
            let mut keys: Vec<Key> = kinds.iter().map(|kind| (name.clone(), *kind)).collect();
            keys.push((name.clone(), RecordType::TXT));
            used.extend_from_slice(&keys);
            self.look_up(servers, keys).await;
            match self.memory.known(name, kinds, Instant::now()) {
                Known::Now(records) => {
                    let records: Vec<RData> = records.into_iter().cloned().collect();
                    return self.endpoints(name, &records, servers, used).await;
                }
                // Nobody knows whether it has endpoints; those of the next name may be others.
                Known::Kept(_, fault @ (DnsFault::Lookup(_) | DnsFault::Outdated(..)))
                | Known::Never(fault @ DnsFault::Lookup(_)) => return Err(fault),
                Known::Kept(_, fault) => kept = Some(fault),
                Known::Never(fault) => {
                    kept.get_or_insert(fault);
                }
                Known::Gone => gone = true,
            }
        }
        match kept {
            _ if gone => Ok(EndpointList::default()),
            Some(fault) => Err(fault),
            None => Err(DnsFault::NoName),
        }
    }

    /// Makes the endpoints of a name from its records.
    async fn endpoints(
        &mut self,
        name: &Name,
        records: &[RData],
        servers: &Servers,
        used: &mut Vec<Key>,
    ) -> Result<EndpointList, DnsFault> {
        let version = list::version(self.memory.records(&(name.clone(), RecordType::TXT)));
        let records: Vec<&RData> = records.iter().collect();
        let mut bad = Vec::new();
        let mut found = Vec::new();
        match self.spec.records {
            DnsRecords::Addresses(port) => {
                let host: Arc<str> = self.spec.name.as_str().trim_end_matches('.').into();
                for address in list::addresses(&records, &mut bad) {
                    let address = SocketAddr::new(address, port);
                    found.push(list::endpoint(address, &host, (0, 1), version.as_deref()));
                }
            }
            DnsRecords::Services => {
                let services = list::services(&records, &mut bad);
                let kinds = self.families();
                let keys = services.iter().flat_map(|service| {
                    let kinds = kinds.iter().chain(&[RecordType::TXT]);
                    kinds.map(|kind| (service.target.clone(), *kind))
                });
                let keys: Vec<Key> = keys.collect();
                used.extend_from_slice(&keys);
                self.look_up(servers, keys).await;
                for service in services {
                    self.service(service, version.as_deref(), &mut found, &mut bad);
                    if found.len() > ENDPOINTS_MAX {
                        return Err(DnsFault::TooMany);
                    }
                }
            }
        }
        let found = list::sorted(found);
        match bad.first() {
            Some(reason) if found.is_empty() => Err(DnsFault::Unusable(reason.clone())),
            Some(_) | None => Ok(EndpointList {
                endpoints: found,
                skipped: Skipped::of(&bad),
                trouble: None,
            }),
        }
    }

    /// Adds the endpoints of one service.
    fn service(
        &self,
        service: &SRV,
        version: Option<&str>,
        found: &mut Vec<Endpoint>,
        bad: &mut Vec<String>,
    ) {
        let target = &service.target;
        let known = self.memory.known(target, self.families(), Instant::now());
        let records = match known {
            Known::Now(records) | Known::Kept(records, _) => records,
            Known::Never(fault) => return bad.push(format!("{target}: {fault}")),
            Known::Gone => return bad.push(format!("{target}: {}", DnsFault::NoName)),
        };
        let own = list::version(self.memory.records(&(target.clone(), RecordType::TXT)));
        let version = own.as_deref().or(version);
        let host = list::host(target);
        let rank = (service.priority, service.weight);
        for address in list::addresses(&records, bad) {
            let address = SocketAddr::new(address, service.port);
            found.push(list::endpoint(address, &host, rank, version));
        }
    }

    /// Looks up those that are due.
    async fn look_up(&mut self, servers: &Servers, mut keys: Vec<Key>) {
        let now = Instant::now();
        keys.retain(|key| self.memory.is_due(key, now));
        let unique: HashSet<Key> = keys.into_iter().collect();
        let outcomes = look_up_all(servers, unique).await;
        let now = Instant::now();
        for (key, outcome) in outcomes {
            self.note_additional(&outcome, now);
            self.memory.note(key, outcome, now);
        }
    }

    /// Notes the addresses of targets that the server added to SRV records.
    fn note_additional(&mut self, outcome: &Outcome, now: Instant) {
        let Outcome::Records {
            records,
            additional,
            ..
        } = outcome
        else {
            return;
        };
        let services = records.iter().filter_map(|record| match record {
            RData::SRV(service) => Some(&service.target),
            _ => None,
        });
        let targets: HashSet<&Name> = services.collect();
        for kind in self.families() {
            for target in &targets {
                let of_target = additional
                    .iter()
                    .filter(|it| it.name == **target && it.record_type() == *kind);
                let Some(ttl) = of_target.clone().map(|it| it.ttl).min() else {
                    continue;
                };
                let outcome = Outcome::Records {
                    records: of_target.map(|it| it.data.clone()).collect(),
                    ttl: Duration::from_secs(ttl.into()),
                    additional: Vec::new(),
                };
                self.memory.note(((*target).clone(), *kind), outcome, now);
            }
        }
    }

    /// Types of the records that name endpoints.
    fn primary(&self) -> &'static [RecordType] {
        match self.spec.records {
            DnsRecords::Addresses(_) => self.families(),
            DnsRecords::Services => &[RecordType::SRV],
        }
    }

    /// Types of the records that have addresses.
    fn families(&self) -> &'static [RecordType] {
        match self.spec.family {
            DnsFamily::Any => &[RecordType::A, RecordType::AAAA],
            DnsFamily::V4 => &[RecordType::A],
            DnsFamily::V6 => &[RecordType::AAAA],
        }
    }
}

impl Discovery for Dns {
    fn next(&mut self) -> BoxFuture<'_, Result<Update, DiscoveryError>> {
        Box::pin(async move {
            if let Some(due) = self.due {
                sleep_until(due).await;
            }
            self.refresh().await.map(Update::List)
        })
    }
}

/// Time that each of the configured servers has for its first answer.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Rounds through the configured servers.
const ROUNDS: u32 = 2;
/// Longest pause after look-ups that gave no list.
const RETRY_MAX: Duration = Duration::from_secs(15);
/// Random part of the time until the next look-up.
const JITTER_MS: u64 = 100;
