//! The proxy inside another program, which decides when it ends.
//!
//! `cargo run --example embed [examples/config/replies.toml]` serves for ten seconds or
//! until Ctrl-C, whichever is first, and drains.
#![expect(clippy::print_stdout, reason = "a program for the terminal")]

use std::{error::Error, time::Duration};

use sluicegate::server::Server;
use tokio::{sync::oneshot, task::LocalSet, time::sleep};

// The workers have threads of their own. What runs here is control: the file, health
// checks, the admin API. It needs a `LocalSet`, and time now and then.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let config = std::env::args_os().nth(1);
    let config = config.unwrap_or_else(|| "examples/config/replies.toml".into());
    let proxy = async {
        let (stop, stopped) = oneshot::channel();
        let server = Server::new(config).without_signals();
        let serving = tokio::task::spawn_local(Box::pin(server.serve(async move {
            // Also when the sender is dropped.
            let _ = stopped.await;
        })));
        own_work().await?;
        println!("stopping the proxy");
        // It may have failed before, and then nobody listens.
        let _ = stop.send(());
        serving.await??;
        println!("every exchange is over");
        Ok(())
    };
    LocalSet::new().run_until(proxy).await
}

/// The main work of the program.
async fn own_work() -> std::io::Result<()> {
    tokio::select! {
        () = sleep(Duration::from_secs(10)) => Ok(()),
        interrupted = tokio::signal::ctrl_c() => interrupted,
    }
}
