//! An endpoint that gives everybody the same answer.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

/// Eight header fields and a body of 128 bytes.
const HEAD: &str = "HTTP/1.1 200 OK\r\n\
    date: Sat, 21 Nov 2026 12:00:00 GMT\r\n\
    server: endpoint\r\n\
    content-type: application/json\r\n\
    content-length: 128\r\n\
    cache-control: private, max-age=60\r\n\
    etag: \"5f2d-8ab0\"\r\n\
    vary: accept-encoding\r\n\
    x-content-type-options: nosniff\r\n\
    \r\n";
/// The last bytes of every answer; they stand nowhere else in it.
pub(crate) const END: &[u8] = b"<end of answer>\n";

/// Starts it; it runs to the end of the process.
pub(crate) fn start() -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer_all(stream));
        }
    });
    address
}

fn answer_all(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut answer = HEAD.as_bytes().to_vec();
    answer.resize(HEAD.len() + 128 - END.len(), b'.');
    answer.extend_from_slice(END);
    let mut buffer = vec![0; 64 * 1024];
    let mut filled = 0;
    loop {
        match stream.read(&mut buffer[filled..])? {
            0 => return Ok(()),
            count => filled += count,
        }
        // The proxy sends the next request only after the answer to this one.
        if is_whole(&buffer[..filled]) {
            stream.write_all(&answer)?;
            filled = 0;
        }
    }
}

/// Returns true if these bytes are a head and as much of a body as it says.
fn is_whole(request: &[u8]) -> bool {
    let end = request.windows(4).position(|window| window == b"\r\n\r\n");
    let Some(end) = end else {
        return false;
    };
    let head = String::from_utf8_lossy(&request[..end]).to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length:"))
        .map_or(0, |length| length.trim().parse().unwrap());
    request.len() >= end + 4 + length
}
