//! A proxy that runs in this process, a raw endpoint behind it, a raw client before it.
//!
//! Client and endpoint do as little as HTTP/1.1 allows, so that what is measured is the proxy.

use std::{
    fs,
    io::{self, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use sluicegate::server::Server;
use tokio::{runtime, task::LocalSet};

/// Starts a proxy with one worker. `$web` in the configuration becomes its address.
///
/// It runs to the end of the process.
pub(crate) fn proxy(configuration: &str) -> io::Result<SocketAddr> {
    let web = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("proxy.toml");
    let text = configuration.replace("$web", &web.to_string());
    let process = "[proxy]\nworkers = 1\n[admin]\naddress = \"unix:admin.sock\"\n";
    fs::write(&file, format!("{process}{text}"))?;
    thread::spawn(move || {
        let runtime = runtime::Builder::new_current_thread().enable_all().build();
        let served = runtime.map(|runtime| {
            let server = Server::new(file).without_signals();
            LocalSet::new().block_on(&runtime, Box::pin(server.serve(std::future::pending())))
        });
        // The folder of the file that is watched must stay.
        drop(folder);
        panic!("the proxy ended: {served:?}");
    });
    for _ in 0..500 {
        if TcpStream::connect(web).is_ok() {
            return Ok(web);
        }
        thread::park_timeout(Duration::from_millis(10));
    }
    Err(io::Error::other("the proxy does not listen"))
}

/// An endpoint that gives the same answer to every head without a body.
#[allow(
    dead_code,
    reason = "only one of the benches that use this has an endpoint"
)]
pub(crate) fn endpoint(answer: &'static [u8]) -> io::Result<SocketAddr> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || answer_all(stream, answer));
        }
    });
    Ok(address)
}

fn answer_all(mut stream: TcpStream, answer: &[u8]) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = [0; 16 * 1024];
    let mut filled = 0;
    loop {
        match stream.read(&mut buffer[filled..])? {
            0 => return Ok(()),
            count => filled += count,
        }
        // The proxy sends the next request only after the answer to this one.
        if buffer[..filled].ends_with(b"\r\n\r\n") {
            stream.write_all(answer)?;
            filled = 0;
        }
    }
}

/// A client's connection that is kept.
pub(crate) struct Client {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Client {
    /// Connects.
    pub(crate) fn connect(web: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(web)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(Duration::from_secs(10)))?;
        Ok(Self {
            stream,
            buffer: vec![0; 256 * 1024],
        })
    }

    /// Sends `requests` in one piece and reads until `ends` answers ended with `end`,
    /// which must stand in each answer once, at its end.
    pub(crate) fn exchange(&mut self, requests: &[u8], end: &[u8], ends: usize) -> io::Result<()> {
        self.stream.write_all(requests)?;
        let (mut filled, mut seen, mut from) = (0, 0, 0);
        while seen < ends {
            match self.stream.read(&mut self.buffer[filled..])? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
            while let Some(at) = find(&self.buffer[from..filled], end) {
                seen += 1;
                from += at + end.len();
            }
        }
        Ok(())
    }
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    text.windows(wanted.len())
        .position(|window| window == wanted)
}
