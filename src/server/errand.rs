//! Work that may wait for a disk, on a thread of its own.
//!
//! The thread is abandoned if it takes too long: nothing joins it, and the end of the process does
//! not wait for it.

use std::{io, thread};

use tokio::sync::oneshot;

/// Runs `work` on a thread called `name`; the answer is an error if it panics.
///
/// # Errors
/// If the system cannot make a thread.
pub(super) fn send<T, F>(name: &str, work: F) -> io::Result<oneshot::Receiver<T>>
where
    T: Send + 'static,
    F: FnOnce() -> T + Send + 'static,
{
    let (done, answer) = oneshot::channel();
    thread::Builder::new()
        .name(name.to_owned())
        .spawn(move || {
            // Nobody may wait any more.
            let _ = done.send(work());
        })?;
    Ok(answer)
}
