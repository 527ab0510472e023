//! The overview of the proxy, again and again, from a thread of its own.

use std::{
    io,
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender, SyncSender},
    thread,
    time::Duration,
};

use super::super::client::{Client, ClientError};
use crate::admin::model::Overview;

/// News about the proxy: its overview, or the reason why there is none.
pub(super) type News = Result<Box<Overview>, String>;

/// Receives the news; the thread ends after this is dropped.
pub(super) struct Feed {
    news: Receiver<News>,
    /// Dropped to end the pause of the thread.
    _stop: Sender<()>,
}

impl Feed {
    /// Starts to ask.
    pub(super) fn start(client: Client) -> io::Result<Self> {
        let (tell, news) = mpsc::sync_channel(2);
        let (stop, stopped) = mpsc::channel();
        thread::Builder::new()
            .name("overview".to_owned())
            .spawn(move || ask(&client, &tell, &stopped))?;
        Ok(Self { news, _stop: stop })
    }

    /// News since the last call.
    pub(super) fn heard(&self) -> impl Iterator<Item = News> {
        self.news.try_iter()
    }
}

fn ask(client: &Client, tell: &SyncSender<News>, stopped: &Receiver<()>) {
    loop {
        let told = client.read::<Overview>();
        let told = told.and_then(|it| client.understand::<Box<Overview>>(it));
        let told = told.map_err(|error: ClientError| error.to_string());
        if tell.send(told).is_err() {
            return;
        }
        match stopped.recv_timeout(PAUSE) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

const PAUSE: Duration = Duration::from_secs(1);
