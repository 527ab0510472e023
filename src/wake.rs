//! Storage of a waker, and the end of a task's turn.

use std::{
    pin::pin,
    task::{Context, Waker},
};

/// Remembers the task that polls. Nearly always it is already known, which costs nothing.
pub(crate) fn remember(known: &mut Option<Waker>, cx: &Context<'_>) {
    match known {
        Some(known) => known.clone_from(cx.waker()),
        None => *known = Some(cx.waker().clone()),
    }
}

/// Gives the task another turn, after the tasks that are ready and after those whose sockets have
/// become ready. The task must return pending.
///
/// A task that wakes itself is ready at once: the sockets of all others would be looked at only
/// when hundreds of tasks have run.
pub(crate) fn after_others(cx: &mut Context<'_>) {
    // The runtime keeps the waker until it has looked at the sockets.
    let _ = pin!(tokio::task::yield_now()).poll(cx);
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::poll_fn, io::Write as _, rc::Rc, task::Poll};

    use tokio::{io::AsyncReadExt as _, net::UnixStream, runtime};

    use super::*;

    #[test]
    fn between_two_turns_of_a_task_the_sockets_of_others_are_looked_at() {
        let runtime = runtime::Builder::new_current_thread()
            .enable_all()
            .event_interval(1_000_000)
            .build_local(runtime::LocalOptions::default());
        let turns = runtime.unwrap().block_on(async {
            let (mut here, there) = std::os::unix::net::UnixStream::pair().unwrap();
            there.set_nonblocking(true).unwrap();
            let mut there = UnixStream::from_std(there).unwrap();
            let turns = Rc::new(Cell::new(0_u32));
            let counted = Rc::clone(&turns);
            let busy = tokio::task::spawn_local(poll_fn(move |cx| {
                counted.set(counted.get() + 1);
                if counted.get() == 10 {
                    here.write_all(b"x").unwrap();
                }
                after_others(cx);
                Poll::<()>::Pending
            }));
            let mut byte = [0];
            there.read_exact(&mut byte).await.unwrap();
            busy.abort();
            turns.get()
        });
        assert!((10..13).contains(&turns), "{turns} turns");
    }
}
