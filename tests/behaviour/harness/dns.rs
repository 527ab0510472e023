//! A name server controlled by the test, and an environment in which the system uses it.
//!
//! The system's resolver knows no port but 53 and no file but `/etc/resolv.conf`. So a test that
//! needs it runs once more as a process of its own, in a network and a file system of its own
//! (`unshare`), where both belong to the test.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// Returns true if the test runs apart, with 127.0.0.1:53 as the system's name server. If false, it
/// has been run there, and is done here.
pub(crate) async fn apart(test: &str) -> bool {
    if std::env::var_os(APART).is_some() {
        return true;
    }
    let usable = unshare().args(["sh", "-c", PREPARE, "sh", "true"]).output();
    if !usable.is_ok_and(|output| output.status.success()) {
        eprintln!("passed over: unshare, ip and mount give no network of one's own here");
        return false;
    }
    let program = std::env::current_exe().expect("this program");
    let mut command = unshare();
    command.args(["sh", "-c", PREPARE, "sh"]).arg(program);
    command.args(["--exact", test, "--nocapture"]);
    let ended = tokio::task::spawn_blocking(move || command.env(APART, "1").output());
    let output = ended.await.expect("a thread").expect("unshare");
    let said =
        [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    let said = said.concat();
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{test} apart: {said}"
    );
    false
}

fn unshare() -> Command {
    let mut command = Command::new("unshare");
    command.args(["--map-root-user", "--mount", "--net"]);
    command
}

/// A name server on 127.0.0.1:53. It stops when this is dropped.
pub(crate) struct Dns {
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    known: BTreeMap<String, Vec<IpAddr>>,
    asked: BTreeMap<String, usize>,
}

impl Dns {
    /// Starts it; it does not answer for unknown names.
    pub(crate) async fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:53").await.expect("port 53");
        let state = Arc::new(Mutex::new(State::default()));
        let task = tokio::spawn(serve(socket, Arc::clone(&state)));
        Self { state, task }
    }

    /// Adds a name; without an address it does not exist.
    pub(crate) fn know(&self, name: &str, addresses: &[IpAddr]) {
        let mut state = lock(&self.state);
        state.known.insert(name.to_owned(), addresses.to_vec());
    }

    /// Stops answering for a name.
    pub(crate) fn forget(&self, name: &str) {
        lock(&self.state).known.remove(name);
    }

    /// Number of queries for the IPv4 addresses of a name so far.
    pub(crate) fn asked(&self, name: &str) -> usize {
        lock(&self.state).asked.get(name).copied().unwrap_or(0)
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(socket: UdpSocket, state: Arc<Mutex<State>>) {
    let mut question = [0; 512];
    while let Ok((length, client)) = socket.recv_from(&mut question).await {
        if let Some(answer) = answer(&question[..length], &state) {
            let _ = socket.send_to(&answer, client).await;
        }
    }
}

/// Returns the answer to one query (RFC 1035 section 4); none if the name is unknown.
fn answer(question: &[u8], state: &Mutex<State>) -> Option<Vec<u8>> {
    let (name, end) = name_of(question)?;
    let kind = question.get(end..end + 2)?;
    let mut state = lock(state);
    if kind == A {
        *state.asked.entry(name.clone()).or_default() += 1;
    }
    let addresses = state.known.get(&name)?;
    let records: Vec<Vec<u8>> = addresses
        .iter()
        .filter_map(|address| match address {
            IpAddr::V4(address) if kind == A => Some(address.octets().to_vec()),
            IpAddr::V6(address) if kind == AAAA => Some(address.octets().to_vec()),
            _ => None,
        })
        .collect();
    let code = if addresses.is_empty() {
        NO_SUCH_NAME
    } else {
        0
    };
    let mut answer = question[..2].to_vec();
    answer.extend([
        0x81,
        0x80 | code,
        0,
        1,
        0,
        u8::try_from(records.len()).ok()?,
    ]);
    answer.extend([0, 0, 0, 0]);
    answer.extend(&question[12..end + 4]);
    for record in records {
        // The name of the question, one second to live.
        answer.extend([0xc0, 12, kind[0], kind[1], 0, 1, 0, 0, 0, 1, 0]);
        answer.push(u8::try_from(record.len()).ok()?);
        answer.extend(record);
    }
    Some(answer)
}

/// Returns the name asked for, and its end.
fn name_of(question: &[u8]) -> Option<(String, usize)> {
    let mut labels = Vec::new();
    let mut at = 12;
    loop {
        let length = usize::from(*question.get(at)?);
        at += 1;
        if length == 0 {
            return Some((labels.join("."), at));
        }
        let label = question.get(at..at + length)?;
        labels.push(String::from_utf8_lossy(label).to_lowercase());
        at += length;
    }
}

/// A listener at `address` that answers no connection: its backlog is full.
pub(crate) struct Silent(
    #[expect(dead_code, reason = "open as long as it lives")] Vec<socket2::Socket>,
);

impl Silent {
    /// Takes the address.
    pub(crate) fn at(address: SocketAddr) -> Self {
        let domain = socket2::Domain::for_address(address);
        let socket = || {
            let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None);
            socket.expect("a socket")
        };
        let listener = socket();
        listener.bind(&address.into()).expect("the address");
        listener.listen(0).expect("it listens");
        let mut sockets = vec![listener];
        for _ in 0..4 {
            let client = socket();
            client.set_nonblocking(true).expect("a mode");
            // The first fills the backlog, the others make sure.
            let _ = client.connect(&address.into());
            sockets.push(client);
        }
        Self(sockets)
    }
}

fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

const APART: &str = "SLUICEGATE_TEST_APART";
const PREPARE: &str = r#"
    ip link set lo up &&
    mount -t tmpfs tmpfs /mnt &&
    printf 'nameserver 127.0.0.1\noptions timeout:5 attempts:3\n' > /mnt/resolv.conf &&
    mount --bind /mnt/resolv.conf /etc/resolv.conf &&
    exec "$@""#;
const A: [u8; 2] = [0, 1];
const AAAA: [u8; 2] = [0, 28];
const NO_SUCH_NAME: u8 = 3;
