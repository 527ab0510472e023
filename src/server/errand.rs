//! Work that may wait for a disk, on a thread of its own.
//!
//! The thread is let go of when it takes too long: nothing joins it, and the end of the
//! process does not wait for it.

use std::{io, thread};

use tokio::sync::oneshot;

/// Does `work` on a thread called `name`; the answer is an error if it panics.
///
/// # Errors
/// When the system gives no thread.
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
