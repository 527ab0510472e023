//! Processes of the servers that tests start.

use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};

/// Makes a server that runs hang, or go on.
pub(super) fn signal(child: Option<&Child>, signal: Signal) {
    let child = child.expect("it runs");
    kill_process(Pid::from_child(child), signal).expect("the signal is sent");
}

/// Ends a server at once, if it runs.
pub(super) fn end(child: Option<Child>) {
    if let Some(mut child) = child {
        let _ = child.kill();
        let _ = child.wait();
    }
}
