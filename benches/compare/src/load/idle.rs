//! Connections that have had one answer and then say nothing.

use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use crate::message::{Request, head_end};

/// Opens this many, each with one exchange, and keeps them.
///
/// # Errors
/// If one is not answered.
pub(crate) fn open(address: SocketAddr, count: usize) -> io::Result<Vec<TcpStream>> {
    let head = Request::get(128).http1_head(false);
    (0..count)
        .map(|_| open_one(address, head.as_bytes()))
        .collect()
}

fn open_one(address: SocketAddr, head: &[u8]) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(head)?;
    let mut buffer = [0; 4096];
    let mut filled = 0;
    while head_end(&buffer[..filled]).is_none_or(|end| filled < end + 128) {
        match stream.read(&mut buffer[filled..])? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => filled += read,
        }
    }
    Ok(stream)
}
