//! The proxy, in this process, with one worker whose thread is counted.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use rustls_pki_types::CertificateDer;
use sluicegate::server::Server;
use sluicegate::upstream::picker::{Candidate, EndpointIndex, PickInput, Picker};
use tokio::{runtime, task::LocalSet};

use super::{counting, endpoint};

/// A proxy that runs to the end of the process.
pub(crate) struct Proxy {
    pub(crate) web: SocketAddr,
    /// The listener with TLS.
    pub(crate) secure: SocketAddr,
    /// Its certificate.
    pub(crate) certificate: CertificateDer<'static>,
    /// The socket of the admin API.
    pub(crate) admin: PathBuf,
}

/// Counters of the proxy's allocations.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Slots {
    /// On the worker, from the first request to `/mark` on.
    pub(crate) worker: usize,
    /// On the threads that answer the admin API.
    pub(crate) admin: usize,
}

impl Proxy {
    /// Starts one with these further tables. What is sent to `/mark` has its worker counted
    /// from then on; all else goes to the pool `app`.
    pub(crate) fn start(slots: Slots, tables: &str) -> Self {
        let [web, secure] = [(); 2].map(|()| free_address());
        let folder = tempfile::tempdir().unwrap();
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let write = |name, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("chain.pem", &issued.cert.pem());
        write("key.pem", &issued.signing_key.serialize_pem());
        let endpoint = endpoint::start();
        let admin_path = folder.path().join("admin.sock");
        let admin = admin_path.display();
        write(
            "proxy.toml",
            &format!(
                r#"[proxy]
workers = 1
[admin]
address = "unix:{admin}"
[listeners.web]
address = "{web}"
[listeners.secure]
address = "{secure}"
tls = {{ certificates = [{{ chain = "chain.pem", key = "key.pem" }}] }}
[routes.all]
pool = "app"
[routes.mark]
path = "/mark"
pool = "mark"
[pools.app]
endpoints = ["{endpoint}"]
[pools.mark]
picker = "mark"
endpoints = ["{endpoint}"]
{tables}"#
            ),
        );
        thread::spawn(move || {
            let runtime = runtime::Builder::new_current_thread()
                .enable_all()
                .on_thread_start(move || counting::mark(slots.admin))
                .build();
            let server = Server::new(folder.path().join("proxy.toml")).without_signals();
            let server =
                server.with_picker("mark", move |_seed| Box::new(Mark { slot: slots.worker }));
            let served = server.serve(std::future::pending());
            let served = LocalSet::new().block_on(&runtime.unwrap(), Box::pin(served));
            panic!("the proxy ended: {served:?}");
        });
        wait_for("the listener", || TcpStream::connect(web).is_ok());
        wait_for("the admin API", || UnixStream::connect(&admin_path).is_ok());
        Self {
            web,
            secure,
            certificate: issued.cert.der().clone(),
            admin: admin_path,
        }
    }
}

/// The picker of a pool with one endpoint. It runs on the worker's thread, which nothing
/// else of an embedding program does without changing what a request costs.
#[derive(Debug)]
struct Mark {
    slot: usize,
}

impl Picker for Mark {
    fn update(&mut self, _candidates: &[Candidate]) {}

    fn pick(&mut self, _input: &PickInput<'_>) -> Option<EndpointIndex> {
        counting::mark(self.slot);
        Some(EndpointIndex(0))
    }
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    listener.local_addr().unwrap()
}

fn wait_for(what: &str, answers: impl Fn() -> bool) {
    for _ in 0..1_000 {
        if answers() {
            return;
        }
        thread::park_timeout(Duration::from_millis(10));
    }
    panic!("{what} does not answer");
}
