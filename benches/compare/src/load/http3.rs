//! HTTP/3 as the generator speaks it: GET requests over QUIC by the crate `quinn`, with names of the
//! static table where it has them; of the answers only what tells their end.

use std::{
    cell::RefCell,
    io,
    net::{Ipv4Addr, SocketAddr},
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use quinn::{ClientConfig, Connection, Endpoint, SendStream, crypto::rustls::QuicClientConfig};
use rustls::{crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256, quic::Suite as QuicSuite};
use tokio::{runtime, task::LocalSet, time};

use super::{End, Fault, Load, Outcome, STUCK, Target};
use crate::message::Request;

/// Loads the proxy, as [`super::run`] does: all connections with so many streams each.
///
/// # Errors
/// If the system has not what it takes, or the proxy does not answer.
pub(super) fn run(
    load: &Load,
    streams: usize,
    target: &Target,
    warm_up: Duration,
    end: End,
    warm: impl FnMut(&Outcome) -> io::Result<()>,
) -> io::Result<Outcome> {
    let runtime = runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let loading = run_all(load, streams, target, warm_up, end, warm);
    LocalSet::new().block_on(&runtime, loading)
}

async fn run_all(
    load: &Load,
    streams: usize,
    target: &Target,
    warm_up: Duration,
    end: End,
    mut warm: impl FnMut(&Outcome) -> io::Result<()>,
) -> io::Result<Outcome> {
    let work = Rc::new(RefCell::new(Work {
        left: match end {
            End::After(_) => u64::MAX,
            End::Requests(count) => count,
        },
        outcome: Outcome::default(),
    }));
    let request: Rc<[u8]> = head(&load.requests[0]).into();
    let endpoint = endpoint(target)?;
    // A connection lasts no longer than its control stream.
    let mut opened = Vec::new();
    for _ in 0..load.connections {
        opened.push(open(&endpoint, target.address).await?);
    }
    let mut begun = Instant::now();
    for (connection, _) in &opened {
        for _ in 0..streams {
            let (work, request) = (Rc::clone(&work), Rc::clone(&request));
            tokio::task::spawn_local(ask_all(connection.clone(), request, work));
        }
    }
    if !warm_up.is_zero() {
        time::sleep(warm_up).await;
        warm(&work.borrow().outcome)?;
        work.borrow_mut().outcome = Outcome::default();
        begun = Instant::now();
    }
    let mut moved = (0, Instant::now());
    loop {
        time::sleep(TICK).await;
        let over = work.borrow().outcome.done + work.borrow().outcome.failed;
        if moved.0 != over {
            moved = (over, Instant::now());
        }
        let is_enough = match end {
            End::After(time) => begun.elapsed() >= time,
            End::Requests(count) => over >= count,
        };
        if is_enough {
            break;
        }
        if moved.1.elapsed() > STUCK {
            return Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "the proxy is stuck",
            ));
        }
    }
    let mut outcome = std::mem::take(&mut work.borrow_mut().outcome);
    outcome.took = begun.elapsed();
    for (connection, _) in &opened {
        connection.close(NO_ERROR.into(), b"");
    }
    endpoint.wait_idle().await;
    Ok(outcome)
}

/// What the streams share.
struct Work {
    /// Requests that may still begin.
    left: u64,
    outcome: Outcome,
}

/// Asks again and again on one connection, one request after the other.
async fn ask_all(connection: Connection, request: Rc<[u8]>, work: Rc<RefCell<Work>>) {
    loop {
        {
            let mut work = work.borrow_mut();
            if work.left == 0 {
                return;
            }
            work.left -= 1;
        }
        let asked = ask(&connection, &request).await;
        let outcome = &mut work.borrow_mut().outcome;
        match asked {
            Ok(bytes) => {
                outcome.done += 1;
                outcome.bytes += (bytes + request.len()) as u64;
            }
            Err(fault) => {
                outcome.failed += 1;
                outcome.fault.get_or_insert(fault);
                return;
            }
        }
    }
}

async fn ask(connection: &Connection, request: &[u8]) -> Result<usize, Fault> {
    let lost = || Fault("the connection failed");
    let (mut send, mut receive) = connection.open_bi().await.map_err(|_| lost())?;
    send.write_all(request).await.map_err(|_| lost())?;
    send.finish().map_err(|_| lost())?;
    let answer = receive.read_to_end(ANSWER_MAX).await.map_err(|_| lost())?;
    // A head of less than 64 bytes has a length of one byte, a longer one of two.
    let block = match answer.get(1) {
        Some(0..0x40) => answer.get(2..),
        _ => answer.get(3..),
    };
    match (answer.first(), block.and_then(|block| block.get(2))) {
        (Some(&HEADERS), Some(&STATUS_200)) => Ok(answer.len()),
        _ => Err(Fault("a status other than 200")),
    }
}

fn endpoint(target: &Target) -> io::Result<Endpoint> {
    let tls = target.tls.clone();
    let tls = tls.ok_or_else(|| io::Error::other("HTTP/3 needs TLS"))?;
    let initial: Option<QuicSuite> = TLS13_AES_128_GCM_SHA256
        .tls13()
        .and_then(|it| it.quic_suite());
    let initial = initial.ok_or_else(|| io::Error::other("no cipher for first packets"))?;
    let tls = QuicClientConfig::with_initial(tls, initial).map_err(io::Error::other)?;
    let mut endpoint = Endpoint::client(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    endpoint.set_default_client_config(ClientConfig::new(Arc::new(tls)));
    Ok(endpoint)
}

/// Connects, and begins the control stream with empty settings.
async fn open(endpoint: &Endpoint, address: SocketAddr) -> io::Result<(Connection, SendStream)> {
    let connecting = endpoint.connect(address, "localhost");
    let connection = connecting.map_err(io::Error::other)?.await?;
    let mut control = connection.open_uni().await?;
    control.write_all(&[0, 4, 0]).await?;
    Ok((connection, control))
}

/// The frame of a request's head.
fn head(request: &Request) -> Vec<u8> {
    let mut block = vec![0, 0, METHOD_GET, SCHEME_HTTPS];
    let own = [(":authority", &*request.host), (":path", &*request.path)];
    let fields = request.fields.iter();
    let fields = fields.map(|(name, value)| (&**name, &**value));
    for (name, value) in own.into_iter().chain(fields) {
        match NAMES.iter().find(|(known, _)| *known == name) {
            Some((_, index)) => push_number(&mut block, 0x50, 4, *index),
            None => {
                push_number(&mut block, 0x20, 3, name.len());
                block.extend_from_slice(name.as_bytes());
            }
        }
        push_number(&mut block, 0, 7, value.len());
        block.extend_from_slice(value.as_bytes());
    }
    let mut frame = vec![HEADERS];
    // Less than 2^14: a browser's head has some hundred bytes.
    let length = u16::try_from(block.len()).unwrap_or(0x3fff) | 0x4000;
    frame.extend_from_slice(&length.to_be_bytes());
    frame.extend_from_slice(&block);
    frame
}

/// Appends a number behind the bits of `first`, with a prefix of `bits` (RFC 7541 section 5.1).
fn push_number(out: &mut Vec<u8>, first: u8, bits: u32, number: usize) {
    let most = (1_usize << bits) - 1;
    // What fits into the prefix fits into a byte.
    out.push(first | u8::try_from(number.min(most)).unwrap_or(u8::MAX));
    let Some(mut rest) = number.checked_sub(most) else {
        return;
    };
    while rest >= 0x80 {
        out.push(0x80 | (rest & 0x7f) as u8);
        rest >>= 7;
    }
    out.push(rest as u8);
}

/// How often it is seen whether it is enough.
const TICK: Duration = Duration::from_millis(5);
const ANSWER_MAX: usize = 16 * 1024 * 1024;
const NO_ERROR: u32 = 0x100;
const HEADERS: u8 = 1;
/// Entries of the static table (RFC 9204 appendix A).
const METHOD_GET: u8 = 0xc0 | 17;
const SCHEME_HTTPS: u8 = 0xc0 | 23;
const STATUS_200: u8 = 0xc0 | 25;
const NAMES: [(&str, usize); 8] = [
    (":authority", 0),
    (":path", 1),
    ("cookie", 5),
    ("referer", 13),
    ("accept", 29),
    ("accept-encoding", 31),
    ("accept-language", 72),
    ("user-agent", 95),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_standard_has_them() {
        // RFC 7541 appendix C.1, and one that fills its prefix.
        for (bits, number, expected) in [
            (5, 10, vec![10]),
            (5, 1337, vec![31, 154, 10]),
            (4, 15, vec![15, 0]),
        ] {
            let mut out = Vec::new();
            push_number(&mut out, 0, bits, number);
            assert_eq!(out, expected);
        }
    }
}
