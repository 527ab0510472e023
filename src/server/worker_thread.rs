//! Thread of a worker: executes commands, accepts connections and ticks.

use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::Arc, time::Duration};

use foldhash::fast::RandomState;
use socket2::Socket;
use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

#[cfg(feature = "http3")]
use crate::listener::http3::accept::QuicAcceptors;
use crate::{
    config::value::BindAddress,
    listener::accept::{self, Acceptor},
    socket,
    state::Listener,
    task, timer,
    worker::{Command, Worker},
};

/// Work of a worker's thread besides exchanges.
#[derive(Debug)]
pub(super) struct WorkerThread {
    worker: Rc<Worker>,
    accepting: RefCell<HashMap<BindAddress, Vec<Accepting>, RandomState>>,
    #[cfg(feature = "http3")]
    quic: RefCell<QuicAcceptors>,
}

#[derive(Debug)]
struct Accepting {
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

impl WorkerThread {
    pub(super) fn new(worker: Rc<Worker>) -> Self {
        Self {
            worker,
            accepting: RefCell::default(),
            #[cfg(feature = "http3")]
            quic: RefCell::default(),
        }
    }

    /// Runs the worker until its command channel closes.
    pub(super) async fn run(self, mut commands: mpsc::Receiver<Command>) {
        let wheel = task::spawn_local("timer wheel", timer::turn());
        let bursts = task::spawn_local("send bursts", socket::bursts());
        let worker = Rc::clone(&self.worker);
        let tick = task::spawn_local("worker tick", async move {
            loop {
                timer::sleep_until(Instant::now() + TICK).await;
                worker.tick();
            }
        });
        while let Some(command) = commands.recv().await {
            if matches!(command, Command::End) {
                break;
            }
            self.obey(command);
        }
        self.worker.wind_up().await;
        tick.abort();
        wheel.abort();
        bursts.abort();
        self.worker.close_log();
    }

    fn obey(&self, command: Command) {
        let worker = &self.worker;
        match command {
            Command::Listen(listener, socket) => self.listen(listener, socket),
            Command::Unlisten(address, done) => self.unlisten(&address, done),
            #[cfg(feature = "http3")]
            Command::ListenQuic(listener, socket, mailboxes) => {
                let mut quic = self.quic.borrow_mut();
                quic.listen(worker, &listener, socket, mailboxes);
            }
            #[cfg(feature = "http3")]
            Command::UnlistenQuic(address) => self.quic.borrow().unlisten(&address),
            Command::Adopt(listener, accepted) => accept::adopt(worker, &listener, accepted),
            Command::MakeRoom(request) => worker.make_room(request),
            Command::FollowEndpoints(pool) => {
                if let Some(pool) = worker.snapshot().pool(&pool) {
                    pool.follow();
                }
            }
            Command::Refresh => worker.close_left(),
            Command::Relieve => worker.relieve(),
            Command::CloseShared => {
                worker.close_connections(|it| matches!(it.protocol.get(), "HTTP/2.0" | "HTTP/3.0"));
            }
            Command::CloseConnections => worker.close_connections(|_| true),
            Command::Cut(done) => {
                let _ = done.send(worker.cut_connections());
            }
            Command::InFlight(pool, answer) => {
                let _ = answer.send(worker.in_flight(&pool));
            }
            Command::AllInFlight(answer) => {
                let _ = answer.send(worker.all_in_flight());
            }
            Command::Connections(filter, answer) => {
                let _ = answer.send(worker.view_connections(&filter));
            }
            Command::ReopenLog => worker.take_up_log(),
            // Ends the loop that calls this.
            Command::End => {}
        }
    }

    fn listen(&self, listener: Arc<Listener>, socket: Socket) {
        let acceptor = match Acceptor::new(socket, &listener) {
            Ok(acceptor) => acceptor,
            Err(error) => {
                tracing::error!(listener = %listener.name, %error, "cannot listen");
                return;
            }
        };
        let address = listener.address.clone();
        let (stop, stopped) = oneshot::channel();
        let accepting = accept::run(Rc::clone(&self.worker), listener, acceptor, stopped);
        let task = task::spawn_local("accept", accepting);
        let mut all = self.accepting.borrow_mut();
        all.entry(address)
            .or_default()
            .push(Accepting { stop, task });
    }

    fn unlisten(&self, address: &BindAddress, done: oneshot::Sender<()>) {
        #[cfg(feature = "http3")]
        self.quic.borrow().unlisten(address);
        let Some(accepting) = self.accepting.borrow_mut().remove(address) else {
            let _ = done.send(());
            return;
        };
        let stopping = accepting.into_iter().map(|Accepting { stop, task }| {
            let _ = stop.send(());
            task
        });
        let stopping: Vec<_> = stopping.collect();
        task::spawn_local("unlisten", async move {
            for task in stopping {
                let _ = task.await;
            }
            let _ = done.send(());
        });
    }
}

const TICK: Duration = Duration::from_millis(200);
