//! Pebble, the ACME server of Let's Encrypt for tests, on ports of its own, with a name server for
//! which every name is 127.0.0.1.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::certificate::Authority;
use super::eventually::eventually;
use super::port::Port;

/// A CA. Killed on drop.
pub(crate) struct Pebble {
    acme: Port,
    management: Port,
    names: Port,
    folder: TempDir,
    children: Vec<Child>,
    validity_s: u32,
    http: u16,
    tls: u16,
    binding: bool,
}

impl Pebble {
    /// Prepares one that verifies names at these ports; it does not run yet.
    pub(crate) fn prepared(http: &Port, tls: &Port) -> Self {
        let folder = tempfile::tempdir().expect("a folder for Pebble");
        let authority = Authority::new("authority of the CA's own server");
        let issued = authority.issue("pebble", &["127.0.0.1"]);
        issued.write(folder.path(), "server");
        authority.write(folder.path(), "ca.pem");
        Self {
            acme: Port::take(),
            management: Port::take(),
            names: Port::take(),
            folder,
            children: Vec::new(),
            validity_s: 0,
            http: http.address().port(),
            tls: tls.address().port(),
            binding: false,
        }
    }

    /// Sets the lifetime of its certificates.
    pub(crate) fn validity(mut self, seconds: u32) -> Self {
        self.validity_s = seconds;
        self
    }

    /// Lets it make accounts only for holders of the key `kid-1`.
    pub(crate) fn demanding(mut self) -> Self {
        self.binding = true;
        self
    }

    /// Starts one that verifies names at these ports.
    pub(crate) async fn start(http: &Port, tls: &Port) -> Self {
        let mut pebble = Self::prepared(http, tls);
        pebble.run().await;
        pebble
    }

    /// Starts it, and waits until it answers. It knows nothing of an earlier run.
    pub(crate) async fn run(&mut self) {
        let validity = match self.validity_s {
            0 => String::new(),
            seconds => format!(r#""certificateValidityPeriod": {seconds},"#),
        };
        let settings = format!(
            r#"{{ "pebble": {{
                "listenAddress": "{}", "managementListenAddress": "{}",
                "certificate": "server.pem", "privateKey": "server.key",
                "httpPort": {}, "tlsPort": {}, {validity}
                "externalAccountBindingRequired": {},
                "externalAccountMACKeys": {{ "kid-1": "{KEY}" }}
            }} }}"#,
            self.acme.address(),
            self.management.address(),
            self.http,
            self.tls,
            self.binding,
        );
        let folder = self.folder.path().to_owned();
        fs::write(folder.join("pebble.json"), settings).expect("the settings are written");
        let names = self.names.address().to_string();
        let name_server = ["pebble-challtestsrv", "-defaultIPv6", "", "-dns01", &names];
        let others = [
            "-http01",
            "",
            "-https01",
            "",
            "-tlsalpn01",
            "",
            "-management",
            "",
        ];
        let arguments: Vec<&str> = name_server.into_iter().chain(others).collect();
        self.spawn(&folder, &arguments, "names.log");
        let arguments = ["-config", "pebble.json", "-dnsserver", &names];
        self.spawn(&folder, &arguments, "pebble.log");
        eventually("Pebble answers", || async { self.root() }).await;
    }

    fn spawn(&mut self, folder: &Path, arguments: &[&str], log: &str) {
        let log = File::options()
            .create(true)
            .append(true)
            .open(folder.join(log));
        let log = log.expect("a log");
        let mut command = Command::new(script());
        command
            .args(arguments)
            .env("PEBBLE_VA_NOSLEEP", "1")
            .env("PEBBLE_AUTHZREUSE", "0")
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log);
        self.children
            .push(command.spawn().expect("tests/pebble runs"));
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        for mut child in self.children.drain(..) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Settings that name it, to stand in `acme = { … }`.
    pub(crate) fn directory(&self) -> String {
        format!(
            r#"directory = "https://{}/dir", directory_ca = "{}""#,
            self.acme.address(),
            self.folder.path().join("ca.pem").display()
        )
    }

    /// Number of orders placed so far.
    pub(crate) fn orders(&self) -> usize {
        // Not the requests: it refuses some on purpose, to be asked again.
        self.log().matches("Added order ").count()
    }

    /// Number of requests to change a contact so far.
    pub(crate) fn changes(&self) -> usize {
        self.log().matches("POST /my-account/").count()
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("pebble.log")).unwrap_or_default()
    }

    /// File with the authority that issues; it changes with each run.
    pub(crate) fn trust(&self) -> PathBuf {
        let path = self.folder.path().join("root.pem");
        fs::write(&path, self.root().expect("Pebble runs")).expect("a file");
        path
    }

    fn root(&self) -> Option<Vec<u8>> {
        let url = format!("https://{}/roots/0", self.management.address());
        let got = Command::new("curl")
            .args(["-sfk", "-m", "5", &url])
            .output();
        let got = got.expect("curl is installed");
        got.status.success().then_some(got.stdout)
    }
}

impl Drop for Pebble {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- log of Pebble\n{}", self.log());
        }
    }
}

fn script() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/pebble")
}

/// Key of the account that a new one is bound to.
pub(crate) const KEY: &str = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W";
