//! The proxy, in this process, with one worker whose thread is counted.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
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
}

impl Proxy {
    /// Starts one with these further tables. What is sent to `/mark` has its worker counted
    /// in `slot` from then on; all else goes to the pool `app`.
    pub(crate) fn start(slot: usize, tables: &str) -> Self {
        let [web, secure] = [(); 2].map(|()| free_address());
        let folder = tempfile::tempdir().unwrap();
        let issued = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let write = |name, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write("chain.pem", &issued.cert.pem());
        write("key.pem", &issued.signing_key.serialize_pem());
        let endpoint = endpoint::start();
        write(
            "proxy.toml",
            &format!(
                r#"[proxy]
workers = 1
[admin]
address = "unix:admin.sock"
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
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            let server = Server::new(folder.path().join("proxy.toml")).without_signals();
            let server = server.with_picker("mark", move |_seed| Box::new(Mark { slot }));
            let served = server.serve(std::future::pending());
            let served = LocalSet::new().block_on(&runtime.unwrap(), Box::pin(served));
            panic!("the proxy ended: {served:?}");
        });
        wait_for(web);
        Self {
            web,
            secure,
            certificate: issued.cert.der().clone(),
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

fn wait_for(address: SocketAddr) {
    for _ in 0..1_000 {
        if TcpStream::connect(address).is_ok() {
            return;
        }
        thread::park_timeout(Duration::from_millis(10));
    }
    panic!("the proxy does not listen at {address}");
}
