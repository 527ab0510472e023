//! The whole working file of three tables: no admin API, nothing that is optional.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::{port::Port, running::eventually};

#[test]
#[expect(
    clippy::disallowed_methods,
    reason = "the test measures another process"
)]
fn a_file_of_three_tables_runs_until_it_is_told_to_stop() {
    let web = Port::take();
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[listeners.web]\naddress = \"{}\"\n[routes.all]\npool = \"app\"\n\
         [pools.app]\nendpoints = [\"127.0.0.1:1\"]\n",
        web.address()
    );
    std::fs::write(folder.path().join("proxy.toml"), text).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_sluicegate"))
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("it listens", || TcpStream::connect(web.address()).is_ok());
    // Longer than any first look at signals, files and requests takes.
    let since = Instant::now();
    while since.elapsed() < Duration::from_secs(1) {
        let mut stream = TcpStream::connect(web.address()).unwrap();
        let head = b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
        stream.write_all(head).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 502 "), "{answer}");
    }
    let pid = Pid::from_child(&child);
    kill_process(pid, Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
}
