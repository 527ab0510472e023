//! nginx and Caddy as they are installed, for answers side by side.

use std::{
    fs,
    net::SocketAddr,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::{client::Client, eventually::eventually, port::Port};

/// A running proxy of another make, in a folder of its own; ended when this is dropped.
pub(crate) struct OtherProxy {
    process: Child,
    address: SocketAddr,
    _port: Port,
    _folder: TempDir,
}

impl OtherProxy {
    /// Starts nginx with these lines in its `http` block; none where it is not installed. `listen`
    /// becomes the address.
    pub(crate) async fn nginx(http: &str) -> Option<Self> {
        let main = "daemon off; master_process off; pid nginx.pid; error_log stderr; events {}";
        let paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map(|it| format!("{it}_temp_path temp_{it};"))
            .concat();
        let text = format!("{main}\nhttp {{\naccess_log off; {paths}\n{http}\n}}\n");
        let mut command = Command::new("nginx");
        command.args(["-c", "config", "-p"]);
        Self::start(command, &text, true).await
    }

    /// Starts Caddy with these sites; none where it is not installed. `listen` becomes the address.
    pub(crate) async fn caddy(sites: &str) -> Option<Self> {
        let text = format!("{{\nadmin off\nauto_https off\n}}\n{sites}\n");
        let mut command = Command::new("caddy");
        command.args(["run", "--adapter", "caddyfile", "--config", "config"]);
        Self::start(command, &text, false).await
    }

    async fn start(mut command: Command, text: &str, prefix: bool) -> Option<Self> {
        let (port, folder) = (Port::take(), tempfile::tempdir().expect("a folder"));
        let address = port.address();
        let text = text
            .replace("$listen", &address.to_string())
            .replace("$port", &address.port().to_string());
        fs::write(folder.path().join("config"), text).expect("written");
        if prefix {
            command.arg(folder.path());
        }
        command
            .current_dir(folder.path())
            .env("HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let name = command.get_program().to_owned();
        let Ok(process) = command.spawn() else {
            eprintln!("passed over: {} is not installed", name.display());
            return None;
        };
        let other = Self {
            process,
            address,
            _port: port,
            _folder: folder,
        };
        eventually(format!("{} accepts", name.display()), || async {
            Client::try_connect(address).await.ok().map(drop)
        })
        .await;
        Some(other)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for OtherProxy {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
