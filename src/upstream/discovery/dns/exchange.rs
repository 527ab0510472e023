//! One question to one name server: over UDP, and over TCP if the answer does not fit (RFC 1035,
//! 5452, 6891, 7766).
//!
//! A socket of its own for each question, connected, so that the port is one that nobody can guess,
//! others cannot send to it, and a server that is not there is noticed at once.

use std::{io, net::SocketAddr, time::Duration};

use hickory_proto::{
    op::{Edns, Message, MessageType, OpCode, Query, ResponseCode},
    rr::{Name, RecordType},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpStream, UdpSocket},
    time::{Instant, timeout_at},
};

/// Reasons why a name server gave no answer that can be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerFault {
    /// No answer in time.
    #[error("is silent")]
    Silent,
    /// It cannot be reached.
    #[error("cannot be reached ({0})")]
    Unreachable(io::ErrorKind),
    /// It refuses to answer, or failed.
    #[error("answers {0}")]
    Code(&'static str),
    /// The answer is not a DNS message, or is one to another question.
    #[error("answers nonsense")]
    Nonsense,
    /// It neither knows the name nor asks others for it.
    #[error("is not responsible for the name and does not ask others")]
    Lame,
}

/// Asks a server; each of the steps, UDP and TCP, has this much time.
pub(super) async fn ask(
    server: SocketAddr,
    name: &Name,
    kind: RecordType,
    limit: Duration,
    transport: Transport,
) -> Result<Message, ServerFault> {
    let question = Query::query(name.clone(), kind);
    if transport == Transport::Udp {
        let mut answer = over_udp(server, &question, true, limit).await?;
        let code = answer.metadata.response_code;
        if matches!(code, ResponseCode::FormErr | ResponseCode::NotImp) {
            // A server from before EDNS.
            answer = over_udp(server, &question, false, limit).await?;
        }
        if !answer.metadata.truncation {
            return checked(answer);
        }
    }
    let deadline = Instant::now() + limit;
    let asking = over_tcp(server, &question);
    let answer = timeout_at(deadline, asking).await;
    checked(answer.map_err(|_| ServerFault::Silent)??)
}

/// Transport of the first try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Transport {
    /// UDP, and TCP for what does not fit.
    Udp,
    /// TCP alone.
    Tcp,
}

async fn over_udp(
    server: SocketAddr,
    question: &Query,
    has_edns: bool,
    limit: Duration,
) -> Result<Message, ServerFault> {
    let deadline = Instant::now() + limit;
    let (id, bytes) = encoded(question, has_edns)?;
    let socket = UdpSocket::bind(any(server)).await.map_err(unreachable)?;
    socket.connect(server).await.map_err(unreachable)?;
    socket.send(&bytes).await.map_err(unreachable)?;
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    for _ in 0..DATAGRAMS_MAX {
        let receiving = timeout_at(deadline, socket.recv(&mut buffer)).await;
        let length = receiving
            .map_err(|_| ServerFault::Silent)?
            .map_err(unreachable)?;
        let bytes = buffer.get(..length).unwrap_or_default();
        // An answer to another question may be forged: the right one may still come.
        if !bytes.starts_with(&id.to_be_bytes()) {
            continue;
        }
        let answer = Message::from_vec(bytes).map_err(|_| ServerFault::Nonsense)?;
        if answers(&answer, question) {
            return Ok(answer);
        }
    }
    Err(ServerFault::Nonsense)
}

async fn over_tcp(server: SocketAddr, question: &Query) -> Result<Message, ServerFault> {
    let (id, bytes) = encoded(question, true)?;
    let mut stream = TcpStream::connect(server).await.map_err(unreachable)?;
    let length = u16::try_from(bytes.len()).map_err(|_| ServerFault::Nonsense)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(&bytes);
    stream.write_all(&framed).await.map_err(unreachable)?;
    let length = stream.read_u16().await.map_err(unreachable)?;
    let mut buffer = vec![0; usize::from(length)];
    stream.read_exact(&mut buffer).await.map_err(unreachable)?;
    let answer = Message::from_vec(&buffer).map_err(|_| ServerFault::Nonsense)?;
    if answer.metadata.id != id || !answers(&answer, question) || answer.metadata.truncation {
        return Err(ServerFault::Nonsense);
    }
    Ok(answer)
}

/// Returns the question as a message, and its id.
fn encoded(question: &Query, has_edns: bool) -> Result<(u16, Vec<u8>), ServerFault> {
    let id = rand::random();
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(question.clone());
    if has_edns {
        let mut edns = Edns::new();
        edns.set_max_payload(PAYLOAD_BYTES);
        message.set_edns(edns);
    }
    let bytes = message.to_vec().map_err(|_| ServerFault::Nonsense)?;
    Ok((id, bytes))
}

/// Returns true if the message answers the question. Servers without an idea of it may leave the
/// question out.
fn answers(answer: &Message, question: &Query) -> bool {
    let metadata = &answer.metadata;
    let is_answer = metadata.message_type == MessageType::Response;
    let is_failure = metadata.response_code != ResponseCode::NoError;
    match &answer.queries[..] {
        [] => is_answer && is_failure && answer.answers.is_empty(),
        [asked] => {
            is_answer
                && asked.name == question.name
                && asked.query_type == question.query_type
                && asked.query_class == question.query_class
        }
        _ => false,
    }
}

/// Passes an answer that is one; what a server did not know or do is a fault of it.
fn checked(answer: Message) -> Result<Message, ServerFault> {
    let metadata = &answer.metadata;
    match metadata.response_code {
        ResponseCode::NoError => {
            let is_empty = answer.answers.is_empty();
            if is_empty && !metadata.authoritative && !metadata.recursion_available {
                return Err(ServerFault::Lame);
            }
            Ok(answer)
        }
        ResponseCode::NXDomain => Ok(answer),
        code => Err(ServerFault::Code(word(code))),
    }
}

fn any(server: SocketAddr) -> SocketAddr {
    match server {
        SocketAddr::V4(_) => SocketAddr::from(([0; 4], 0)),
        SocketAddr::V6(_) => SocketAddr::from(([0_u16; 8], 0)),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "as `map_err` passes it")]
fn unreachable(error: io::Error) -> ServerFault {
    ServerFault::Unreachable(error.kind())
}

/// Name of a code, as tools print it.
fn word(code: ResponseCode) -> &'static str {
    match code {
        ResponseCode::ServFail => "SERVFAIL",
        ResponseCode::Refused => "REFUSED",
        ResponseCode::NotImp => "NOTIMP",
        ResponseCode::FormErr => "FORMERR",
        code => code.to_str(),
    }
}

/// Datagrams that are looked at for one question: others may send forged ones.
const DATAGRAMS_MAX: usize = 64;
/// Size of answers over UDP that the servers are told: no fragments on usual networks
/// (<https://www.dnsflagday.net/2020/>).
const PAYLOAD_BYTES: u16 = 1232;
/// Size of the buffer for an answer over UDP.
const DATAGRAM_BYTES_MAX: usize = 8192;
