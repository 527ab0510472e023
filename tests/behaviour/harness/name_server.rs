//! Real name servers on ports of their own, and a relay before one that can lose, spoil and replace
//! answers.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncWriteExt as _, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;

use super::eventually::eventually;
use super::port::Port;

/// BIND with one zone, `orders.test`, whose records change while it runs.
pub(crate) struct Bind {
    port: Port,
    folder: TempDir,
    child: Option<Child>,
}

impl Bind {
    /// Starts it with these records of the zone.
    pub(crate) async fn start(records: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder for BIND");
        let port = Port::take();
        let place = folder.path().display();
        let settings = format!(
            r#"options {{
                directory "{place}";
                listen-on port {port} {{ 127.0.0.1; }};
                listen-on-v6 {{ none; }};
                recursion no;
                max-records-per-type 0;
                minimal-responses no;
                pid-file none;
                session-keyfile "{place}/session.key";
                managed-keys-directory "{place}";
            }};
            controls {{ }};
            zone "orders.test" {{ type primary; file "zone"; allow-update {{ 127.0.0.1; }}; }};
            "#,
            port = port.address().port(),
        );
        let zone = format!(
            "$TTL 1\n@ SOA ns hostmaster ( 1 1h 1h 1h 1 )\n@ NS ns\nns A 127.0.0.1\n{records}\n"
        );
        fs::write(folder.path().join("named.conf"), settings).expect("the settings are written");
        fs::write(folder.path().join("zone"), zone).expect("the zone is written");
        let mut bind = Self {
            port,
            folder,
            child: None,
        };
        bind.run().await;
        bind
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Starts it again after [`Self::kill`].
    pub(crate) async fn run(&mut self) {
        let arguments = ["named", "-4", "-g", "-n", "1", "-c", "named.conf"];
        self.child = Some(spawn(self.folder.path(), &arguments));
        answers(self.address(), "ns.orders.test").await;
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        end(&mut self.child);
    }

    /// Changes records: lines of nsupdate, `add` and `delete`, all at once.
    pub(crate) async fn change(&self, lines: &str) {
        let address = self.address();
        let text = format!(
            "server {} {}\nzone orders.test\n{}\nsend\n",
            address.ip(),
            address.port(),
            lines
                .trim()
                .lines()
                .map(|line| format!("update {}", line.trim()))
                .collect::<Vec<_>>()
                .join("\n")
        );
        let file = self.folder.path().join("change");
        fs::write(&file, text).expect("the change is written");
        let mut command = script(&["nsupdate"]);
        command.arg(file).stdin(Stdio::null());
        let done = tokio::task::spawn_blocking(move || command.output()).await;
        let done = done.expect("a thread").expect("nsupdate runs");
        let said = String::from_utf8_lossy(&done.stderr).into_owned();
        assert!(done.status.success(), "{lines}: {said}");
    }
}

impl Drop for Bind {
    fn drop(&mut self) {
        self.kill();
    }
}

/// dnsmasq, which answers from a file of hosts with a time to live of 1 s.
pub(crate) struct Dnsmasq {
    port: Port,
    folder: TempDir,
    child: Option<Child>,
}

impl Dnsmasq {
    /// Starts it with these lines, as `/etc/hosts` has them.
    pub(crate) async fn start(hosts: &str) -> Self {
        let port = Port::take();
        let folder = tempfile::tempdir().expect("a folder for dnsmasq");
        let file = folder.path().join("hosts");
        fs::write(&file, format!("127.0.0.1 ns.test\n{hosts}\n")).expect("the hosts are written");
        let number = port.address().port();
        let arguments = [
            "dnsmasq".to_owned(),
            "--keep-in-foreground".to_owned(),
            "--conf-file=/dev/null".to_owned(),
            "--no-resolv".to_owned(),
            "--no-hosts".to_owned(),
            "--local-ttl=1".to_owned(),
            "--local=/test/".to_owned(),
            "--listen-address=127.0.0.1".to_owned(),
            "--bind-interfaces".to_owned(),
            "--pid-file".to_owned(),
            "--user=".to_owned(),
            format!("--port={number}"),
            format!("--addn-hosts={}", file.display()),
        ];
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let child = Some(spawn(folder.path(), &arguments));
        let server = Self {
            port,
            folder,
            child,
        };
        answers(server.address(), "ns.test").await;
        server
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Replaces the lines.
    pub(crate) fn change(&self, hosts: &str) {
        let file = self.folder.path().join("hosts");
        fs::write(file, format!("127.0.0.1 ns.test\n{hosts}\n")).expect("the hosts are written");
        let child = self.child.as_ref().expect("it runs");
        let pid = rustix::process::Pid::from_child(child);
        rustix::process::kill_process(pid, rustix::process::Signal::HUP).expect("it is told");
    }
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Treatment of questions by a relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Via {
    /// Passes question and answer on.
    Pass,
    /// Loses both.
    Swallow,
    /// Answers with bytes that mean nothing.
    Nonsense,
    /// Answers with this code: 2 SERVFAIL, 3 NXDOMAIN, 5 REFUSED.
    Code(u8),
    /// Answers over UDP that the answer does not fit; passes TCP on.
    TcpOnly,
    /// Sends a forged answer with another id first.
    Forged,
    /// Passes question and answer on, 700 ms later.
    Late,
}

/// A relay for UDP and TCP before a name server.
pub(crate) struct DnsRelay {
    port: Port,
    via: Arc<Mutex<Via>>,
    tasks: [JoinHandle<()>; 2],
}

impl DnsRelay {
    /// Starts one before this server.
    pub(crate) async fn start(server: SocketAddr, via: Via) -> Self {
        let port = Port::take();
        let via = Arc::new(Mutex::new(via));
        let udp = UdpSocket::bind(port.address()).await.expect("a socket");
        let tcp = TcpListener::bind(port.address()).await.expect("a socket");
        let tasks = [
            tokio::spawn(datagrams(udp, server, Arc::clone(&via))),
            tokio::spawn(streams(tcp, server, Arc::clone(&via))),
        ];
        Self { port, via, tasks }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Does this from now on.
    pub(crate) fn now(&self, via: Via) {
        *self.via.lock().unwrap_or_else(PoisonError::into_inner) = via;
    }
}

impl Drop for DnsRelay {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn datagrams(socket: UdpSocket, server: SocketAddr, via: Arc<Mutex<Via>>) {
    let socket = Arc::new(socket);
    let mut tasks = JoinSet::new();
    let mut buffer = [0; 4096];
    while let Ok((length, client)) = socket.recv_from(&mut buffer).await {
        let question = buffer[..length].to_vec();
        let via = *via.lock().unwrap_or_else(PoisonError::into_inner);
        let socket = Arc::clone(&socket);
        tasks.spawn(async move {
            let mut answer = match via {
                Via::Swallow => return,
                Via::Nonsense => [&question[..2], b"nonsense that is long enough"].concat(),
                Via::Code(code) => short(&question, 0x81, 0x80 | code),
                Via::TcpOnly => short(&question, 0x83, 0x80),
                Via::Pass | Via::Forged | Via::Late => {
                    if via == Via::Late {
                        tokio::time::sleep(Duration::from_millis(700)).await;
                    }
                    let Some(answer) = pass(&question, server).await else {
                        return;
                    };
                    answer
                }
            };
            if via == Via::Forged {
                answer[0] ^= 0xff;
                let _ = socket.send_to(&answer, client).await;
                answer[0] ^= 0xff;
            }
            let _ = socket.send_to(&answer, client).await;
        });
        while tasks.try_join_next().is_some() {}
    }
}

/// A header with these bytes of flags, and the question.
fn short(question: &[u8], first: u8, second: u8) -> Vec<u8> {
    let mut end = 12;
    while question[end] != 0 {
        end += usize::from(question[end]) + 1;
    }
    let mut answer = question[..end + 5].to_vec();
    answer[2] = first;
    answer[3] = second;
    // One question, and nothing else.
    answer[4..12].copy_from_slice(&[0, 1, 0, 0, 0, 0, 0, 0]);
    answer
}

async fn pass(question: &[u8], server: SocketAddr) -> Option<Vec<u8>> {
    let socket = UdpSocket::bind("127.0.0.1:0").await.ok()?;
    socket.connect(server).await.ok()?;
    socket.send(question).await.ok()?;
    let mut buffer = vec![0; 65_535];
    let receiving = timeout(Duration::from_secs(2), socket.recv(&mut buffer));
    let length = receiving.await.ok()?.ok()?;
    buffer.truncate(length);
    Some(buffer)
}

async fn streams(listener: TcpListener, server: SocketAddr, via: Arc<Mutex<Via>>) {
    let mut tasks = JoinSet::new();
    while let Ok((mut client, _)) = listener.accept().await {
        let via = *via.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.spawn(async move {
            match via {
                Via::Swallow => std::future::pending().await,
                Via::Nonsense => {
                    let _ = client.write_all(b"nonsense").await;
                }
                Via::Code(_) => {}
                Via::Pass | Via::TcpOnly | Via::Forged | Via::Late => {
                    if let Ok(mut server) = TcpStream::connect(server).await {
                        let _ = copy_bidirectional(&mut client, &mut server).await;
                    }
                }
            }
        });
        while tasks.try_join_next().is_some() {}
    }
}

/// Waits until a server has an answer for a name.
async fn answers(server: SocketAddr, name: &str) {
    let mut question = vec![7, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        question.push(u8::try_from(label.len()).expect("a short label"));
        question.extend(label.as_bytes());
    }
    question.extend([0, 0, 1, 0, 1]);
    eventually("the name server answers", || async {
        let asking = timeout(Duration::from_millis(300), pass(&question, server));
        let answer = asking.await.ok()??;
        (answer[3] & 0x0f == 0 && answer[7] == 1).then_some(())
    })
    .await;
}

fn script(arguments: &[&str]) -> Command {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/dns-server");
    let mut command = Command::new(script);
    command.args(arguments);
    command
}

fn spawn(folder: &std::path::Path, arguments: &[&str]) -> Child {
    let log = fs::File::create(folder.join("log")).expect("a log");
    let mut command = script(arguments);
    command
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    command.spawn().expect("tests/dns-server runs")
}

fn end(child: &mut Option<Child>) {
    if let Some(mut child) = child.take() {
        let _ = child.kill();
        let _ = child.wait();
    }
}
