//! `/etc/resolv.conf`: name servers, search domains and options of the system (resolv.conf(5)).
//!
//! The text is read purely; lines and options that glibc would ignore are ignored.

use std::{
    fs, io,
    net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6},
    path::Path,
    time::Duration,
};

use hickory_proto::rr::Name;

use super::exchange::Transport;

/// Settings of the system's resolver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ResolvConf {
    pub(super) servers: Vec<SocketAddr>,
    pub(super) search: Vec<Name>,
    /// Dots from which on a name is tried as it is before search domains are added.
    pub(super) ndots: usize,
    /// Time that a server has for its first answer.
    pub(super) timeout: Duration,
    /// Rounds through the servers.
    pub(super) attempts: u32,
    pub(super) transport: Transport,
}

impl ResolvConf {
    /// Reads the file of the system; a missing one is as an empty one. Blocks on the disk.
    pub(super) fn of_system() -> io::Result<Self> {
        let text = match crate::file::read_to_string(Path::new(PATH), BYTES_MAX) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
        Ok(Self::parse(&text, host.trim(), &index_of_interface))
    }

    /// Reads a text. Without a domain in it that of the host's name is searched.
    fn parse(text: &str, host: &str, index: &dyn Fn(&str) -> Option<u32>) -> Self {
        let mut found = Self {
            servers: Vec::new(),
            search: Vec::new(),
            ndots: 1,
            timeout: Duration::from_secs(5),
            attempts: 2,
            transport: Transport::Udp,
        };
        let mut domains: Option<Vec<&str>> = None;
        for line in text.lines() {
            let line = line.split(['#', ';']).next().unwrap_or_default();
            let mut words = line.split_ascii_whitespace();
            match words.next() {
                Some("nameserver") => {
                    let server = words.next().and_then(|word| server(word, index));
                    found.servers.extend(server);
                }
                // The last one of these lines counts.
                Some("search") => domains = Some(words.collect()),
                Some("domain") => domains = Some(words.take(1).collect()),
                Some("options") => words.for_each(|word| found.option(word)),
                _ => {}
            }
        }
        found.servers.truncate(SERVERS_MAX);
        if found.servers.is_empty() {
            found.servers.push(SocketAddr::from(([127, 0, 0, 1], PORT)));
        }
        let of_host = || Vec::from_iter(host.split_once('.').map(|(_, domain)| domain));
        let domains = domains.unwrap_or_else(of_host);
        let whole = |domain: &&str| {
            let mut name = Name::from_ascii(domain).ok()?;
            name.set_fqdn(true);
            Some(name)
        };
        found.search = domains.iter().filter_map(whole).take(SEARCH_MAX).collect();
        found
    }

    fn option(&mut self, word: &str) {
        let (name, value) = word.split_once(':').unwrap_or((word, ""));
        let number = value.parse::<u32>().ok();
        match (name, number) {
            ("ndots", Some(number)) => self.ndots = number.min(NDOTS_MAX) as usize,
            ("timeout", Some(number)) => {
                let seconds = number.clamp(1, TIMEOUT_S_MAX);
                self.timeout = Duration::from_secs(seconds.into());
            }
            ("attempts", Some(number)) => self.attempts = number.clamp(1, ATTEMPTS_MAX),
            ("use-vc", None) => self.transport = Transport::Tcp,
            _ => {}
        }
    }
}

/// Reads the address of a server; one of a link has the interface behind a `%`.
fn server(word: &str, index: &dyn Fn(&str) -> Option<u32>) -> Option<SocketAddr> {
    if let Some((address, interface)) = word.split_once('%') {
        let address: Ipv6Addr = address.parse().ok()?;
        let index = interface.parse().ok().or_else(|| index(interface))?;
        return Some(SocketAddrV6::new(address, PORT, 0, index).into());
    }
    let address: IpAddr = word.parse().ok()?;
    Some(SocketAddr::new(address, PORT))
}

fn index_of_interface(name: &str) -> Option<u32> {
    if name.contains('/') {
        return None;
    }
    let index = fs::read_to_string(format!("/sys/class/net/{name}/ifindex")).ok()?;
    index.trim().parse().ok()
}

/// Returns the names to look up for a written one, in the order of glibc.
pub(super) fn candidates(written: &str, search: &[Name], ndots: usize) -> Vec<Name> {
    let Ok(mut name) = Name::from_ascii(written) else {
        return Vec::new();
    };
    let is_whole = written.ends_with('.');
    let dots = written.bytes().filter(|byte| *byte == b'.').count();
    let searched = search
        .iter()
        .filter_map(|domain| name.clone().append_domain(domain).ok());
    let mut candidates: Vec<Name> = if is_whole {
        Vec::new()
    } else {
        searched.collect()
    };
    name.set_fqdn(true);
    let at = if dots >= ndots { 0 } else { candidates.len() };
    candidates.insert(at, name);
    candidates
}

const PATH: &str = "/etc/resolv.conf";
const PORT: u16 = 53;
/// Size of the file.
const BYTES_MAX: u64 = 64 * 1024;
/// Limits of glibc.
const SERVERS_MAX: usize = 3;
const NDOTS_MAX: u32 = 15;
const TIMEOUT_S_MAX: u32 = 30;
const ATTEMPTS_MAX: u32 = 5;
/// Search domains that are used; glibc has had no limit since 2.26.
const SEARCH_MAX: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ResolvConf {
        let index = |name: &str| (name == "eth0").then_some(7);
        ResolvConf::parse(text, "me.corp.example", &index)
    }

    fn texts<T: ToString>(all: &[T]) -> Vec<String> {
        all.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn an_empty_file_means_this_machine_and_the_domain_of_its_name() {
        let read = parse("# nothing\n; here\nsortlist 10.0.0.0\n");
        assert_eq!(texts(&read.servers), ["127.0.0.1:53"]);
        assert_eq!(texts(&read.search), ["corp.example."]);
        assert_eq!((read.ndots, read.attempts), (1, 2));
        assert_eq!(read.timeout, Duration::from_secs(5));
    }

    #[test]
    fn each_line_means_what_glibc_makes_of_it() {
        let read = parse(
            "nameserver 10.0.0.2 # the first\nnameserver nonsense\nnameserver fe80::1%eth0\n\
             nameserver ::1\nnameserver 10.0.0.5\ndomain a.example\n\
             search default.svc.cluster.local svc.cluster.local\n\
             options ndots:99 timeout:60 attempts:0 use-vc rotate ndots\n",
        );
        assert_eq!(
            texts(&read.servers),
            ["10.0.0.2:53", "[fe80::1%7]:53", "[::1]:53"]
        );
        let search = ["default.svc.cluster.local.", "svc.cluster.local."];
        assert_eq!(texts(&read.search), search);
        assert_eq!((read.ndots, read.attempts), (15, 1));
        assert_eq!(read.timeout, Duration::from_secs(30));
        assert_eq!(read.transport, Transport::Tcp);
        assert!(parse("search").search.is_empty());
    }

    #[test]
    fn search_domains_come_before_or_after_the_name_itself() {
        let search = parse("search a.example b.example").search;
        let names = |written: &str, ndots| texts(&candidates(written, &search, ndots));
        let both = ["orders.a.example.", "orders.b.example.", "orders."];
        assert_eq!(names("orders", 1), both);
        assert_eq!(
            names("x.orders", 1),
            ["x.orders.", "x.orders.a.example.", "x.orders.b.example."]
        );
        assert_eq!(names("x.orders", 2).last().unwrap(), "x.orders.");
        assert_eq!(names("orders.", 5), ["orders."]);
        assert_eq!(texts(&candidates("orders", &[], 1)), ["orders."]);
    }
}
