//! What the peers are asked to do.

use crate::{
    load::{Load, Version},
    message::Request,
    peer::{Features, Setup},
};

/// One line of the table.
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) setup: Setup,
    pub(crate) tls: bool,
    pub(crate) work: Work,
}

/// What is done, and with it what is measured.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    /// As many requests as go through; processor time and rate.
    Saturate(Load),
    /// Large bodies; bytes per second of processor time.
    Transfer(Load),
    /// A fixed rate; latencies.
    Pace(Load),
    /// Connections that say nothing; memory.
    Idle(usize),
}

impl Work {
    /// The load that it is, if it is one.
    pub(crate) fn load(&self) -> Option<&Load> {
        match self {
            Self::Saturate(load) | Self::Transfer(load) | Self::Pace(load) => Some(load),
            Self::Idle(_) => None,
        }
    }
}

/// One request again and again over this many connections.
pub(crate) fn load(request: Request, connections: usize) -> Load {
    Load {
        requests: vec![request],
        connections,
        version: Version::Http1,
        close: false,
        rate: None,
    }
}

/// Each of the routes in turn, in steps that leave no two neighbours together.
pub(crate) fn load_of_routes(routes: usize) -> Load {
    let at = |step: usize| step * 7 % routes.max(1);
    let requests = (0..routes.max(1)).map(|step| Request::get(128).on_route(at(step)));
    Load {
        requests: requests.collect(),
        ..load(Request::get(128), 64)
    }
}

/// All of them, in the order of the table.
#[expect(clippy::too_many_lines, reason = "a list")]
pub(crate) fn all() -> Vec<Scenario> {
    let get = || load(Request::get(128), 64);
    let large = 64 * 1024 * 1024;
    let download = || Work::Transfer(load(Request::get(large), 4));
    let upload = || Work::Transfer(load(Request::get(128).with_body(large), 4));
    let http2 = Load {
        version: Version::Http2 { streams: 32 },
        ..load(Request::get(128), 8)
    };
    let close = Load {
        close: true,
        ..get()
    };
    let paced = |rate| Load {
        rate: Some(rate),
        ..get()
    };
    let post = load(Request::get(128).with_body(4096), 64);
    // As the others, which have no bound here.
    let unbound = || Setup {
        features: Features {
            route: "body_max = false",
            ..Features::default()
        },
        ..Setup::default()
    };
    let (with_endpoints, with_routes, with_workers) = (
        Setup {
            endpoints: 1_000,
            ..Setup::default()
        },
        Setup {
            routes: 1_000,
            ..Setup::default()
        },
        Setup {
            workers: 2,
            ..Setup::default()
        },
    );
    vec![
        saturate("h1-small", "HTTP/1.1, 128 B answers, 64 connections", get()),
        saturate("h1-post", "the same with 4 KiB POST bodies", post),
        saturate(
            "h1-10k",
            "10 KiB answers",
            load(Request::get(10 * 1024), 64),
        ),
        saturate(
            "h1-1m",
            "1 MiB answers, 16 connections",
            load(Request::get(1024 * 1024), 16),
        ),
        saturate("pool-1k", "1,000 endpoints", get()).with(with_endpoints),
        saturate("routes-1k", "1,000 routes", load_of_routes(1_000)).with(with_routes),
        saturate("conn-close", "a connection per request", close.clone()),
        saturate("tls-h1", "HTTP/1.1 over TLS 1.3", get()).over_tls(),
        saturate("tls-handshake", "a TLS connection per request", close).over_tls(),
        saturate("h2-small", "HTTP/2 over TLS, 8 × 32 streams", http2).over_tls(),
        http3(),
        saturate(
            "h1-small-2t",
            "the first with two workers, processors shared",
            get(),
        )
        .with(with_workers),
        scenario("upload-64m", "64 MiB request bodies", upload()).with(unbound()),
        scenario("upload-64m-tls", "the same over TLS", upload())
            .with(unbound())
            .over_tls(),
        scenario("download-64m", "64 MiB answers", download()),
        scenario("download-64m-tls", "the same over TLS", download()).over_tls(),
        scenario(
            "latency-5k",
            "5,000 requests a second, whatever the answers do",
            Work::Pace(paced(5_000)),
        ),
        scenario(
            "idle-10k",
            "10,000 connections that say nothing",
            Work::Idle(10_000),
        ),
    ]
}

fn http3() -> Scenario {
    let load = Load {
        version: Version::Http3 { streams: 32 },
        ..load(Request::get(128), 8)
    };
    let setup = Setup {
        http3: true,
        ..Setup::default()
    };
    let about = "HTTP/3, 8 × 32 streams";
    saturate("h3-small", about, load).over_tls().with(setup)
}

/// A scenario of this load on peers in their usual set-up.
pub(crate) fn saturate(name: &'static str, about: &'static str, load: Load) -> Scenario {
    scenario(name, about, Work::Saturate(load))
}

fn scenario(name: &'static str, about: &'static str, work: Work) -> Scenario {
    Scenario {
        name,
        about,
        setup: Setup::default(),
        tls: false,
        work,
    }
}

impl Scenario {
    /// The same over TLS.
    pub(crate) fn over_tls(mut self) -> Self {
        self.tls = true;
        self
    }

    /// The same with peers that are set up so.
    pub(crate) fn with(mut self, setup: Setup) -> Self {
        self.setup = setup;
        self
    }
}
