//! Proxies of other makes as they are installed, for answers side by side.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::{client::Client, eventually::eventually, port::Port};

/// A running proxy of another make; ended when this is dropped.
pub(crate) struct OtherProxy {
    process: Child,
    address: SocketAddr,
    /// The port and the folder that were made for it alone.
    own: Option<(Port, TempDir)>,
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
        Self::alone("nginx", &text).await
    }

    /// Starts Caddy with these sites; none where it is not installed. `listen` becomes the address.
    pub(crate) async fn caddy(sites: &str) -> Option<Self> {
        let text = format!("{{\nadmin off\nauto_https off\n}}\n{sites}\n");
        Self::alone("caddy", &text).await
    }

    async fn alone(name: &str, text: &str) -> Option<Self> {
        let (port, folder) = (Port::take(), tempfile::tempdir().expect("a folder"));
        let address = port.address();
        let text = text
            .replace("$listen", &address.to_string())
            .replace("$port", &address.port().to_string());
        fs::write(folder.path().join("config"), text).expect("written");
        let mut other = Self::start(name, folder.path(), "config", address).await?;
        other.own = Some((port, folder));
        Some(other)
    }

    /// Starts a proxy with a file of a folder, and waits until it accepts; none where it is not
    /// installed.
    pub(crate) async fn start(
        name: &str,
        folder: &Path,
        file: &str,
        address: SocketAddr,
    ) -> Option<Self> {
        // Others than the administrator do not look into /usr/sbin.
        let place = ["/usr/sbin", "/usr/bin", "/usr/local/bin", "/usr/local/sbin"]
            .iter()
            .map(|it| Path::new(it).join(name))
            .find(|it| it.exists());
        let Some(place) = place else {
            eprintln!("passed over: {name} is not installed; tests/run installs it");
            return None;
        };
        let mut command = Command::new(place);
        match name {
            "nginx" => command.arg("-p").arg(folder).args(["-c", file]),
            "haproxy" => command.args(["-db", "-f", file]),
            _ => command.args(["run", "--adapter", "caddyfile", "--config", file]),
        };
        let process = command
            .current_dir(folder)
            .env("HOME", folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let other = Self {
            process,
            address,
            own: None,
        };
        eventually(format!("{name} accepts"), || async {
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
