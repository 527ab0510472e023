//! Lines to a syslog server (RFC 5424), each a datagram: over a Unix socket such as /dev/log, or UDP.
//!
//! Called on the writer's own thread. A server that is away or slow costs lines, and at most
//! [`SEND_PATIENCE`] for each batch of them.

use std::fmt;
use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::super::clock::Moment;

/// Syslog server, and how lines are marked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyslogTarget {
    /// Address of the server.
    pub address: SyslogAddress,
    /// Facility by its number.
    pub facility: u8,
    /// Name of the application.
    pub app: String,
}

/// Address of a syslog server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogAddress {
    /// A datagram socket of the file system.
    Unix(PathBuf),
    /// UDP.
    Udp(SocketAddr),
}

impl fmt::Display for SyslogTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            SyslogAddress::Unix(path) => write!(f, "syslog at {}", path.display()),
            SyslogAddress::Udp(address) => write!(f, "syslog at {address}"),
        }
    }
}

/// Sends lines to a server.
pub(super) struct Syslog {
    target: SyslogTarget,
    socket: Option<Socket>,
    /// Time before which no connection is tried again.
    next: Option<Instant>,
    message: Vec<u8>,
    host: String,
}

enum Socket {
    Unix(UnixDatagram),
    Udp(UdpSocket),
}

impl Syslog {
    pub(super) fn new(target: &SyslogTarget) -> Self {
        let name = rustix::system::uname();
        Self {
            target: target.clone(),
            socket: None,
            next: None,
            message: Vec::new(),
            host: field(&name.nodename().to_string_lossy(), 255),
        }
    }

    /// Sends each line of a batch. The error tells why, and how many lines were not sent.
    pub(super) fn send(&mut self, lines: &[u8]) -> Result<(), (io::Error, u64)> {
        let end = Instant::now() + SEND_PATIENCE;
        let (mut lost, mut first) = (0, None);
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let line = line.strip_suffix(b"\n").unwrap_or(line);
            let sent = match Instant::now() < end {
                true => self.send_line(line),
                false => Err(io::ErrorKind::TimedOut.into()),
            };
            if let Err(error) = sent {
                lost += 1;
                // Those that follow fail for want of a connection.
                first.get_or_insert(error);
            }
        }
        match first {
            None => Ok(()),
            Some(error) => Err((error, lost)),
        }
    }

    fn send_line(&mut self, line: &[u8]) -> io::Result<()> {
        self.message.clear();
        let priority = u32::from(self.target.facility) * 8 + INFORMATIONAL;
        write!(self.message, "<{priority}>1 ")?;
        Moment::new(SystemTime::now()).rfc3339(&mut self.message);
        let (host, app, process) = (&self.host, &self.target.app, std::process::id());
        write!(
            self.message,
            " {host} {} {process} access - ",
            field(app, 48)
        )?;
        self.message.extend_from_slice(line);
        self.connect()?;
        let sent = match &self.socket {
            Some(Socket::Unix(socket)) => socket.send(&self.message),
            Some(Socket::Udp(socket)) => socket.send(&self.message),
            None => Err(io::ErrorKind::NotConnected.into()),
        };
        match sent {
            Ok(_) => Ok(()),
            // A line that is too long says nothing of the server.
            Err(error) if error.raw_os_error() == Some(TOO_LONG) => Err(error),
            Err(error) => {
                self.leave();
                Err(error)
            }
        }
    }

    /// Connects to the server; after a failure again after a while.
    fn connect(&mut self) -> io::Result<()> {
        if self.socket.is_some() {
            return Ok(());
        }
        if self.next.is_some_and(|next| Instant::now() < next) {
            return Err(io::Error::other("the syslog server could not be reached"));
        }
        match connect(&self.target.address) {
            Ok(socket) => self.socket = Some(socket),
            Err(error) => {
                self.leave();
                return Err(error);
            }
        }
        Ok(())
    }

    fn leave(&mut self) {
        self.socket = None;
        self.next = Some(Instant::now() + RETRY);
    }
}

fn connect(address: &SyslogAddress) -> io::Result<Socket> {
    match address {
        SyslogAddress::Unix(path) => {
            let socket = UnixDatagram::unbound()?;
            socket.connect(path)?;
            socket.set_write_timeout(Some(LINE_PATIENCE))?;
            Ok(Socket::Unix(socket))
        }
        SyslogAddress::Udp(address) => {
            let own: IpAddr = match address {
                SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            };
            let socket = UdpSocket::bind((own, 0))?;
            socket.connect(address)?;
            socket.set_write_timeout(Some(LINE_PATIENCE))?;
            Ok(Socket::Udp(socket))
        }
    }
}

/// A field of the header: printable ASCII without spaces, or the dash that stands for nothing.
fn field(text: &str, length_max: usize) -> String {
    let printable = text.chars().filter(char::is_ascii_graphic);
    let text: String = printable.take(length_max).collect();
    if text.is_empty() {
        "-".to_owned()
    } else {
        text
    }
}

/// Severity of a line.
const INFORMATIONAL: u32 = 6;

/// Maximum time for a batch; what is left of it is lost.
const SEND_PATIENCE: Duration = Duration::from_secs(1);

/// Maximum wait for a server that reads too slowly.
const LINE_PATIENCE: Duration = Duration::from_millis(200);

/// Pause after a failed connection.
const RETRY: Duration = Duration::from_millis(500);

/// EMSGSIZE of Linux.
const TOO_LONG: i32 = 90;
