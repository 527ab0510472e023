//! One measurement: a peer is started afresh, loaded, watched and ended.

use std::{
    io,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rustls::{ClientConfig, pki_types::CertificateDer};

use crate::{
    load::{self, End, Load, Outcome, Target, Version, idle},
    login,
    peer::{Identity, Peer, Running, Wrapping},
    scenario::{Scenario, Work},
    system::{self, Cpu},
};

/// What all measurements of a run have in common.
pub(crate) struct Bench {
    identity: Identity,
    http1: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    http3: Arc<ClientConfig>,
    endpoint_port: u16,
    /// Where the proxy with one worker runs; the load has the other one.
    processors: Option<(usize, usize)>,
    pub(crate) length: Duration,
}

/// The figures of one measurement.
#[derive(Clone, Debug, Default)]
pub(crate) struct Round {
    pub(crate) done: u64,
    pub(crate) failed: u64,
    pub(crate) fault: Option<load::Fault>,
    pub(crate) took: Duration,
    pub(crate) cpu: Cpu,
    /// Bytes both ways, as the client saw them.
    pub(crate) bytes: u64,
    /// 50th, 99th and 99.9th percentile in microseconds.
    pub(crate) latency_us: Option<[u32; 3]>,
    /// Bytes of memory: before the load, and with it.
    pub(crate) memory: [u64; 2],
    /// Processors that others than us kept busy.
    pub(crate) foreign: f64,
}

/// Shares of processors that others may use before a measurement is made again.
pub(crate) const QUIET: f64 = 0.15;
const WARM_UP: Duration = Duration::from_millis(700);

impl Bench {
    /// Starts the endpoints and makes what peers show to clients.
    ///
    /// # Errors
    /// If the system has not what it takes.
    pub(crate) fn new(length: Duration) -> io::Result<Self> {
        system::raise_open_files()?;
        let processors = match *system::processors()? {
            [proxy, load, ..] => Some((proxy, load)),
            _ => None,
        };
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]);
        let issued = issued.map_err(io::Error::other)?;
        let der: CertificateDer<'static> = issued.cert.der().clone();
        let config = |protocol| load::tls_config(der.clone(), protocol).map_err(io::Error::other);
        let endpoint_port = crate::endpoint::start(processors.map(|(_, load)| load))?;
        Ok(Self {
            identity: Identity {
                chain: issued.cert.pem(),
                key: issued.signing_key.serialize_pem(),
            },
            http1: config("http/1.1")?,
            http2: config("h2")?,
            http3: config("h3")?,
            endpoint_port,
            processors,
            length,
        })
    }

    /// Starts a peer as a scenario wants it.
    ///
    /// # Errors
    /// Why it does not start.
    pub(crate) fn start(
        &self,
        peer: &Peer,
        scenario: &Scenario,
        wrapping: &Wrapping,
    ) -> io::Result<Running> {
        let alone = scenario.setup.workers == 1;
        let processor = self.processors.filter(|_| alone).map(|(proxy, _)| proxy);
        peer.start(
            &scenario.setup,
            self.endpoint_port,
            &self.identity,
            processor,
            wrapping,
        )
    }

    /// Where a scenario's load goes.
    pub(crate) fn target(&self, scenario: &Scenario, running: &Running) -> Target {
        let config = match scenario.work.load().map(|load| load.version) {
            None | Some(Version::Http1) => &self.http1,
            Some(Version::Http2 { .. }) => &self.http2,
            Some(Version::Http3 { .. }) => &self.http3,
        };
        Target {
            address: if scenario.tls {
                running.secure
            } else {
                running.plain
            },
            tls: scenario.tls.then(|| Arc::clone(config)),
        }
    }

    /// Measures once; again, up to twice, while others keep the machine busy.
    ///
    /// # Errors
    /// Why the peer does not start or answer.
    pub(crate) fn measure(&self, peer: &Peer, scenario: &Scenario) -> io::Result<Round> {
        self.measure_while(peer, scenario, |_| ())
    }

    /// As [`Self::measure`], with `beside` told when the peer has warmed up; what it gives is
    /// kept until the load ends.
    ///
    /// # Errors
    /// As for [`Self::measure`].
    pub(crate) fn measure_while<T>(
        &self,
        peer: &Peer,
        scenario: &Scenario,
        beside: impl Fn(&Running) -> T,
    ) -> io::Result<Round> {
        let mut best = self.measure_once(peer, scenario, &beside)?;
        for _ in 0..2 {
            if best.foreign <= QUIET {
                break;
            }
            let again = self.measure_once(peer, scenario, &beside)?;
            if again.foreign < best.foreign {
                best = again;
            }
        }
        Ok(best)
    }

    fn measure_once<T>(
        &self,
        peer: &Peer,
        scenario: &Scenario,
        beside: impl Fn(&Running) -> T,
    ) -> io::Result<Round> {
        let running = self.start(peer, scenario, &Wrapping::default())?;
        if let (Some((_, processor)), 1) = (self.processors, scenario.setup.workers) {
            system::pin([processor])?;
        } else {
            system::pin(system::ALL)?;
        }
        let target = self.target(scenario, &running);
        let measured = match &scenario.work {
            Work::Idle(count) => idle_memory(&running, &target, *count),
            Work::Saturate(load) | Work::Transfer(load) | Work::Pace(load) => {
                let load = load_of(&running, scenario, load)?;
                self.under_load(&running, &load, &target, beside)
            }
        };
        measured.map_err(|error| {
            let log = running.log();
            io::Error::new(error.kind(), format!("{}: {error}; {log}", peer.name))
        })
    }

    fn under_load<T>(
        &self,
        running: &Running,
        load: &Load,
        target: &Target,
        beside: impl Fn(&Running) -> T,
    ) -> io::Result<Round> {
        let before_load = system::memory_of_tree(running.id());
        let own = std::process::id();
        let mut kept = None;
        let mut before = None;
        let outcome = load::run(load, target, WARM_UP, End::After(self.length), |warm| {
            if warm.bytes == 0 || warm.done == 0 && warm.failed > 0 {
                return Err(refused(warm));
            }
            kept = Some(beside(running));
            let (machine, ours) = (system::cpu_of_machine()?, system::cpu_of_tree(own));
            before = Some((
                machine,
                ours,
                Instant::now(),
                system::cpu_of_tree(running.id()),
            ));
            Ok(())
        })?;
        let cpu_now = system::cpu_of_tree(running.id());
        let Some((machine, ours, begun, cpu)) = before else {
            return Err(refused(&outcome));
        };
        let cpu = cpu_now - cpu;
        let ours = (system::cpu_of_tree(own) - ours).total();
        let machine = system::cpu_of_machine()?.saturating_sub(machine);
        drop(kept);
        if outcome.bytes == 0 {
            return Err(refused(&outcome));
        }
        let foreign = machine.saturating_sub(ours);
        let percentile = |per_mille: usize| {
            let latencies = &outcome.latencies_us;
            latencies
                .get((latencies.len() * per_mille / 1_000).min(latencies.len() - 1))
                .copied()
        };
        let latency = load
            .rate
            .and_then(|_| Some([percentile(500)?, percentile(990)?, percentile(999)?]));
        Ok(Round {
            done: outcome.done,
            failed: outcome.failed,
            fault: outcome.fault,
            took: outcome.took,
            cpu,
            bytes: outcome.bytes,
            latency_us: latency,
            memory: [before_load, system::memory_of_tree(running.id())],
            foreign: foreign.as_secs_f64() / begun.elapsed().as_secs_f64(),
        })
    }
}

/// The load of a scenario, with a session where it needs one.
///
/// # Errors
/// Why the login failed.
pub(crate) fn load_of(running: &Running, scenario: &Scenario, load: &Load) -> io::Result<Load> {
    let mut load = load.clone();
    if scenario.setup.features.login {
        let session = login::log_in(running.plain)?;
        for request in &mut load.requests {
            request.add_cookie(&session);
        }
    }
    Ok(load)
}

fn idle_memory(running: &Running, target: &Target, count: usize) -> io::Result<Round> {
    let before = system::memory_of_tree(running.id());
    let connections = idle::open(target.address, count)?;
    // What a peer gives back, it gives back soon after an answer.
    thread::park_timeout(Duration::from_secs(2));
    Ok(Round {
        done: connections.len() as u64,
        memory: [before, system::memory_of_tree(running.id())],
        ..Round::default()
    })
}

fn refused(outcome: &Outcome) -> io::Error {
    let fault = outcome
        .fault
        .map_or_else(|| "no answer".to_owned(), |fault| fault.to_string());
    io::Error::other(fault)
}
