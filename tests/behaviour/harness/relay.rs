//! A relay of TCP connections that can stop passing bytes, as a network does that drops packets.

use std::net::{Ipv4Addr, SocketAddr};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A relay to one address. Its connections end when it is dropped.
pub(crate) struct Relay {
    address: SocketAddr,
    passes: watch::Sender<bool>,
    task: tokio::task::JoinHandle<()>,
}

impl Relay {
    /// Starts one that passes everything.
    pub(crate) async fn start(to: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.expect("a socket for the relay");
        let address = listener.local_addr().expect("its address");
        let (passes, passing) = watch::channel(true);
        let task = tokio::spawn(async move {
            let mut all = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let passing = passing.clone();
                all.spawn(async move {
                    let Ok(server) = TcpStream::connect(to).await else {
                        return;
                    };
                    let (client_in, client_out) = client.into_split();
                    let (server_in, server_out) = server.into_split();
                    tokio::select! {
                        () = pass(client_in, server_out, passing.clone()) => {}
                        () = pass(server_in, client_out, passing) => {}
                    }
                });
            }
        });
        Self {
            address,
            passes,
            task,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Keeps connections open, and passes no byte any more.
    pub(crate) fn stop_passing(&self) {
        self.passes.send_replace(false);
    }

    /// Passes everything again.
    pub(crate) fn pass_again(&self) {
        self.passes.send_replace(true);
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn pass(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut passing: watch::Receiver<bool>) {
    let mut buffer = vec![0; 16 << 10];
    loop {
        let Ok(read @ 1..) = from.read(&mut buffer).await else {
            return;
        };
        if passing.wait_for(|passes| *passes).await.is_err()
            || to.write_all(&buffer[..read]).await.is_err()
        {
            return;
        }
    }
}
