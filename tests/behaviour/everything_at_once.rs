//! The first promise with every kind of traffic at once: fifty reloads and seven new
//! certificates, and nobody notices.

mod traffic;

use std::sync::{Arc, Mutex};

use crate::harness::{
    Authority, Backend, Exposition, H2Backend, LargeBackend, Peer, Port, Protocol, Proxy, Settings,
    Traffic, answer, eventually, packages,
};
use traffic::Shown;

/// Returns one of many configurations: other endpoints, weights, pickers, routes and limits each
/// time.
fn edition(n: usize) -> String {
    let weight = 1 + n % 7;
    let two_of = |a: &str, b: &str, c: &str| match n % 4 {
        0 => format!("\"${a}\", \"${b}\""),
        1 => format!("\"${b}\", \"${c}\""),
        2 => format!("{{ address = \"${a}\", weight = {weight} }}, \"${c}\""),
        _ => format!("\"${c}\""),
    };
    let one_of = |a: &str, b: &str| match n % 3 {
        0 => format!("\"${a}\""),
        1 => format!("\"${b}\""),
        _ => format!("\"${a}\", {{ address = \"${b}\", weight = {weight} }}"),
    };
    let picker = [
        "round_robin",
        "weighted_round_robin",
        "least_requests",
        "power_of_two",
    ][n % 4];
    let pool = |name: &str, endpoints: &str, more: &str| {
        format!(
            "[pools.{name}]\npicker = \"{picker}\"\nendpoints = [{endpoints}]\n{more}\n\
             limits = {{ connections = {} }}\n",
            500 + n
        )
    };
    let route = if n.is_multiple_of(2) {
        format!("[routes.only_{n}]\npath_prefix = \"/only/{n}\"\nrespond = {{ status = 200 }}\n")
    } else {
        format!("[routes.app_{n}]\npath_prefix = \"/app\"\nmethods = [\"POST\"]\npool = \"app\"\n")
    };
    [
        listeners(n),
        route,
        format!(
            r#"
            [routes.app]
            path_prefix = "/app"
            pool = "app"
            timeouts = {{ total = "{}s" }}
            headers_response = {{ set = {{ x-edition = "{n}" }} }}
            [routes.sockets]
            path_prefix = "/chat"
            pool = "sockets"
            [routes.calls]
            path_prefix = "/calls"
            pool = "calls"
            [routes.peers]
            path_prefix = "/peer.Echo"
            pool = "peers"
            [routes.large]
            path_prefix = "/large"
            pool = "large"
            retry = {{ attempts = {} }}
            "#,
            20 + n,
            1 + n % 3
        ),
        pool("app", &two_of("a", "b", "c"), ""),
        pool("sockets", &two_of("sa", "sb", "sc"), ""),
        pool("calls", &one_of("ca", "cb"), "protocol = \"h2\""),
        pool("peers", &one_of("pa", "pb"), "protocol = \"h2\""),
        pool("large", &one_of("la", "lb"), ""),
    ]
    .concat()
}

/// Before and after: nothing that keeps a connection.
fn rest() -> String {
    listeners(0) + "[routes.all]\nrespond = { status = 200 }\n"
}

fn listeners(n: usize) -> String {
    format!(
        r#"
        [listeners.web]
        address = "$web"
        limits = {{ connections = {}, headers = {} }}
        [listeners.secure]
        address = "$secure"
        [listeners.secure.tls]
        certificates = [{{ chain = "a.pem", key = "a.key" }}]
        "#,
        1000 + n,
        50 + n
    )
}

/// Endpoints that the routes lead to, stopped on drop.
struct Endpoints {
    app: [Backend; 3],
    sockets: [Backend; 3],
    calls: [H2Backend; 2],
    large: [LargeBackend; 2],
}

impl Endpoints {
    async fn start(authority: &Authority) -> Self {
        let app = || Backend::start(|seen| answer(&seen.target));
        let sockets = || Backend::start(traffic::socket_script);
        let calls = || H2Backend::start(traffic::call_script);
        let unused = || authority.issue("unused", &[]).server(&[]);
        let large = || LargeBackend::start(Protocol::Http1, unused());
        Self {
            app: [app().await, app().await, app().await],
            sockets: [sockets().await, sockets().await, sockets().await],
            calls: [calls().await, calls().await],
            large: [large().await, large().await],
        }
    }

    fn named_in(&self, mut settings: Settings, peers: &[Port; 2]) -> Settings {
        for (name, backend) in ["a", "b", "c"].into_iter().zip(&self.app) {
            settings = settings.backend(name, backend);
        }
        for (name, backend) in ["sa", "sb", "sc"].into_iter().zip(&self.sockets) {
            settings = settings.backend(name, backend);
        }
        for (name, backend) in ["ca", "cb"].into_iter().zip(&self.calls) {
            settings = settings.address(name, backend.address());
        }
        for (name, backend) in ["la", "lb"].into_iter().zip(&self.large) {
            settings = settings.address(name, backend.address());
        }
        for (name, port) in ["pa", "pb"].into_iter().zip(peers) {
            settings = settings.address(name, port.address());
        }
        settings
    }
}

/// gRPC programs that others wrote, where they are installed.
struct Peers {
    _servers: [Peer; 2],
    client: Peer,
}

impl Peers {
    async fn start(proxy: &Proxy, ports: &[Port; 2]) -> Option<Self> {
        let packages = packages()?;
        let port = |n: usize| [ports[n].address().port().to_string()];
        let servers = [
            Peer::start(&packages, "grpc_server.py", &port(0)).await,
            Peer::start(&packages, "grpc_server.py", &port(1)).await,
        ];
        let web = [proxy.address("web").to_string()];
        Some(Self {
            _servers: servers,
            client: Peer::start(&packages, "grpc_load.py", &web).await,
        })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_reloads_and_seven_certificates_break_nothing_of_anything() {
    let authority = Authority::new("test authority");
    let endpoints = Endpoints::start(&authority).await;
    let ports = [Port::take(), Port::take()];
    let settings = endpoints.named_in(Settings::new(&rest()), &ports);
    let first = authority.issue("shop", &["shop.example"]);
    first.write(settings.folder(), "a");
    let mut proxy = settings.start().await;
    let tasks = proxy.settled_metric("sluicegate_tasks", &[]).await;

    reload(&mut proxy, 0, &edition(0)).await;
    let peers = Peers::start(&proxy, &ports).await;
    let shown: Shown = Arc::new(Mutex::new(first.der().to_vec()));
    let mut flow = Traffic::default();
    traffic::start(&mut flow, &proxy, &authority, &shown);
    flow.goes_on().await;
    for n in 1..=RELOADS {
        reload(&mut proxy, n, &edition(n)).await;
        flow.goes_on().await;
        if n.is_multiple_of(7) {
            let renewed = authority.issue("shop", &["shop.example"]);
            renewed.write(proxy.folder(), "a");
            eventually("new sessions are shown the new certificate", || async {
                (*shown.lock().unwrap() == renewed.der().to_vec()).then_some(())
            })
            .await;
            // A handshake that began before the renewal may end after it: each maker's is over
            // after one round, and each has been shown another by the next.
            flow.goes_on().await;
            flow.goes_on().await;
            let now = shown.lock().unwrap().clone();
            assert!(now == renewed.der().to_vec(), "the old one is shown again");
        }
    }
    let report = flow.stop().await;
    eprintln!("{report}");
    if let Some(peers) = peers {
        let said = peers.client.ended().await;
        eprintln!("gRPC of others: {said:?}");
        assert!(said.is_ok(), "calls of a real client were lost: {said:?}");
    }
    reload(&mut proxy, RELOADS + 1, &rest()).await;
    came_to_rest(&proxy, tasks).await;
    proxy.finish().await;
    drop(endpoints);
}

/// Writes the file in one way or the other, and sees that just this one was taken.
async fn reload(proxy: &mut Proxy, n: usize, text: &str) {
    let before = proxy.generation().await;
    if n.is_multiple_of(2) {
        proxy.replace(text);
    } else {
        proxy.overwrite(text);
    }
    proxy.generation_passes(before).await;
    let now = proxy.generation().await;
    assert!((now - before - 1.0).abs() < 0.5, "{now} after {before}");
}

/// Nothing is left of the traffic, and nothing that it met is counted as a loss.
async fn came_to_rest(proxy: &Proxy, tasks: f64) {
    for gauge in [
        "connections",
        "requests_in_flight",
        "upstream_connections",
        "idle_connections",
    ] {
        let gauge = format!("sluicegate_{gauge}");
        proxy.metric_becomes(&gauge, &[], 0.0).await;
    }
    proxy.metric_becomes("sluicegate_tasks", &[], tasks).await;
    let metrics = proxy.metrics().await;
    for (series, labels, expected) in [
        (
            "config_reloads_total",
            [("result", "succeeded")],
            RELOADS + 2,
        ),
        ("config_reloads_total", [("result", "failed")], 0),
        (
            "certificate_reloads_total",
            [("result", "succeeded")],
            RELOADS / 7,
        ),
        ("requests_total", [("status_class", "4xx")], 0),
        ("requests_total", [("status_class", "5xx")], 0),
    ] {
        let value = count(&metrics, series, &labels);
        assert_eq!(value, expected as f64, "{series} {labels:?}");
    }
    for series in ["shed_total", "ejections_total", "panics_total"] {
        assert_eq!(count(&metrics, series, &[]), 0.0, "{series}");
    }
    let log = proxy.log();
    let reports = log.matches("connections_closed=").count();
    let none = log.matches("connections_closed=0").count();
    assert_eq!((reports, none), (RELOADS + 2, RELOADS + 2), "{log}");
}

fn count(metrics: &Exposition, series: &str, labels: &[(&str, &str)]) -> f64 {
    let name = format!("sluicegate_{series}");
    metrics.sum(&name, labels).unwrap_or_default()
}

const RELOADS: usize = 50;
