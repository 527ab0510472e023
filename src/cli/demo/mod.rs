//! `demo`: a proxy in front of its own services, under load, with a story.
//!
//! Everything runs in this process: two services in two versions each, the proxy as [`Server`]
//! starts it from a file, and clients that count their answers. The story then does to it what
//! happens to proxies (an endpoint dies and comes back, the file is edited, broken and mended) and
//! waits for the expected results. The outcome is a failure if a client saw one, or a result did
//! not follow.

mod figures;
mod port;
mod screen;
mod service;
mod settings;
mod story;
mod traffic;

use std::{future::Future, io, path::PathBuf, rc::Rc, time::Duration};

use tokio::{
    runtime,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    task::{JoinHandle, LocalSet},
    time::Instant,
};

use self::{
    figures::Figures, screen::Screen, service::Service, settings::Settings, story::Story,
    traffic::Traffic,
};
use super::exit_code::Exit;
use crate::{
    server::{Server, StartError},
    task,
    telemetry::log::{self, LogFormat},
};

/// Options of the demo.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Options {
    /// Total time; until Ctrl-C if not given. The story is told in that time.
    pub(super) lasts: Option<Duration>,
}

/// Runs the demo.
pub(super) fn run(options: Options) -> Exit {
    // A second set-up only means that an embedding program has a log already.
    let _ = log::init("info", LogFormat::Text);
    let screen = Screen::new();
    let runtime = match runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            screen.say(&format!("the demo cannot start: {error}"));
            return Exit::Failed;
        }
    };
    match LocalSet::new().block_on(&runtime, Box::pin(show(options, screen))) {
        Ok(DemoOutcome::AsTold) => Exit::Fine,
        Ok(DemoOutcome::Otherwise) => Exit::Failed,
        Err(error) => {
            screen.say(&format!("the demo failed: {error}"));
            Exit::Failed
        }
    }
}

/// Result of the demo.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum DemoOutcome {
    /// No client saw a failure, and each step had its expected result.
    AsTold,
    /// Another outcome, described on the screen.
    Otherwise,
}

/// Reasons for an early end of the demo.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    #[error(transparent)]
    System(#[from] io::Error),
    #[error("the proxy did not start: {0}")]
    Start(#[from] StartError),
    #[error("the proxy ended by itself")]
    Ended,
    #[error("the proxy was not ready within {} s", READY_MAX.as_secs())]
    NotReady,
}

async fn show(options: Options, screen: Screen) -> Result<DemoOutcome, DemoError> {
    let services = start_services()?;
    let settings = Rc::new(Settings::new(&services)?);
    screen.say(&settings.introduction());
    let mut proxy = Proxy::start(settings.file());
    let figures = Figures::new(settings.admin());
    proxy.unless_it_ends(ready(&figures)).await??;
    let traffic = Traffic::start(settings.web(), &services);
    let began = Instant::now();
    let reporting = task::spawn_local(
        "demo report",
        screen::report(screen, traffic.tally(), figures, Rc::clone(&services)),
    );
    let story = Story::new(screen, services, Rc::clone(&settings), figures);
    let showing = story.tell(traffic.tally(), began, options.lasts);
    let told = tokio::select! {
        told = proxy.unless_it_ends(showing) => told?,
        told_to_end = told_to_end() => {
            told_to_end?;
            screen.say("\nThe clients stop, then the proxy.");
            DemoOutcome::AsTold
        }
    };
    reporting.abort();
    let tally = traffic.stop().await;
    let last = figures.read().await.unwrap_or_default();
    proxy.stop().await?;
    screen.say(&tally.summary(&last));
    let told_well = told == DemoOutcome::AsTold && tally.failures() == 0;
    Ok(if told_well {
        DemoOutcome::AsTold
    } else {
        DemoOutcome::Otherwise
    })
}

/// Starts the services, whose names the story uses.
fn start_services() -> io::Result<Rc<[Service]>> {
    let cast = [
        ("shop-a", "shop", "1.4.0"),
        ("shop-b", "shop", "1.4.0"),
        ("shop-c", "shop", "2.0.0"),
        ("orders-a", "orders", "1.1.0"),
        ("orders-b", "orders", "2.0.0"),
        ("orders-c", "orders", "2.1.0"),
    ];
    let started = cast.map(|(name, pool, version)| Service::start(name, pool, version));
    started.into_iter().collect()
}

async fn ready(figures: &Figures) -> Result<(), DemoError> {
    let deadline = Instant::now() + READY_MAX;
    while !figures.is_ready().await {
        if Instant::now() >= deadline {
            return Err(DemoError::NotReady);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Waits for Ctrl-C or SIGTERM.
async fn told_to_end() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        _ = terminate.recv() => Ok(()),
    }
}

/// The demonstrated proxy, run as an embedding program would.
struct Proxy {
    stop: oneshot::Sender<()>,
    outcome: oneshot::Receiver<Result<(), StartError>>,
    task: JoinHandle<()>,
}

impl Proxy {
    fn start(file: PathBuf) -> Self {
        let (stop, stopped) = oneshot::channel();
        let (tell, outcome) = oneshot::channel();
        let task = task::spawn_local("demo proxy", async move {
            let stop = async move {
                let _ = stopped.await;
            };
            let server = Server::new(file).without_signals();
            let _ = tell.send(Box::pin(server.serve(stop)).await);
        });
        Self {
            stop,
            outcome,
            task,
        }
    }

    /// Waits for `what`, or for the end of the proxy.
    async fn unless_it_ends<T>(&mut self, what: impl Future<Output = T>) -> Result<T, DemoError> {
        tokio::select! {
            done = what => Ok(done),
            ended = &mut self.outcome => match ended {
                Ok(Err(error)) => Err(error.into()),
                Ok(Ok(())) | Err(_) => Err(DemoError::Ended),
            },
        }
    }

    async fn stop(self) -> Result<(), DemoError> {
        let _ = self.stop.send(());
        let ended = self.outcome.await;
        let _ = self.task.await;
        match ended {
            Ok(result) => Ok(result?),
            Err(_) => Err(DemoError::Ended),
        }
    }
}

const READY_MAX: Duration = Duration::from_secs(10);
