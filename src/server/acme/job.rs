//! Work on a certificate with the disk and the CA, within bounds.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use tokio::time::timeout;

use super::{Tools, plan::Step};
use crate::acme::{
    AcmeError, Issued, Order, Session,
    schedule::Window,
    store::{self, Attempts, Held},
};

/// Result of a step.
pub(super) enum Done {
    /// The files.
    Read(Option<Held>, Attempts),
    /// The files cannot be read now.
    Unread(AcmeError),
    /// A new certificate.
    Issued(Held),
    /// Another process had ordered it.
    Found(Held),
    /// Another process orders.
    Busy,
    /// There is no certificate, and none is wanted before a time.
    Failed(AcmeError, Option<SystemTime>),
    /// The time of the renewal, if the CA says it, and when to ask again.
    Told(Option<(Window, Duration)>),
}

/// Does a step.
pub(super) async fn run(step: Step, order: Arc<Order>, used: Option<Held>, tools: &Tools) -> Done {
    match step {
        Step::Read | Step::Wait => read(order, tools).await,
        Step::Order => match timeout(ORDER_MAX, self::order(order, used, tools)).await {
            Ok(Ok(done)) => done,
            Ok(Err((error, after))) => Done::Failed(error, after),
            Err(_) => Done::Failed(AcmeError::Late(ORDER_MAX), None),
        },
        Step::Ask => {
            let asked = timeout(ASK_MAX, ask(order, used, tools)).await;
            let asked = asked.unwrap_or(Err(AcmeError::Late(ASK_MAX)));
            if let Err(error) = &asked {
                tracing::debug!(%error, "the CA does not say when to renew");
            }
            Done::Told(asked.ok())
        }
    }
}

async fn read(order: Arc<Order>, tools: &Tools) -> Done {
    let read = move || (store::held(&order), store::attempts(&order));
    match tools.disk.ask(read).await {
        Ok((held, attempts)) => Done::Read(held, attempts),
        Err(error) => Done::Unread(AcmeError::State(error.to_string())),
    }
}

type Failed = (AcmeError, Option<SystemTime>);

async fn order(order: Arc<Order>, used: Option<Held>, tools: &Tools) -> Result<Done, Failed> {
    let Some(_turn) = disk(tools, &order, store::turn).await? else {
        return Ok(Done::Busy);
    };
    let (held, kept) = disk(tools, &order, |order| {
        Ok((store::held(order), store::account(order)))
    })
    .await?;
    let expires = |held: &Option<Held>| held.as_ref().map_or(0, |held| held.expires);
    if expires(&held) > expires(&used) {
        return Ok(held.map_or(Done::Busy, Done::Found));
    }
    let used = held.as_ref().map(|held| held.chain.as_str());
    let is_known = kept.is_some();
    let issued = match place(&order, kept, used, tools).await {
        Err((AcmeError::AccountUnknown(told), _)) if is_known => {
            tracing::warn!(%told, "the CA does not know the account any more; another is made");
            place(&order, None, used, tools).await?
        }
        issued => issued?,
    };
    let held = disk(tools, &order, move |order| store::keep(order, &issued.pem)).await?;
    Ok(Done::Issued(held))
}

/// Orders with the account that was kept, or with a new one.
async fn place(
    order: &Arc<Order>,
    kept: Option<String>,
    used: Option<&str>,
    tools: &Tools,
) -> Result<Issued, Failed> {
    let session = open(order, kept, tools).await?;
    let issued = session.order(order, used, &tools.challenges).await;
    issued.map_err(|error| (error, session.retry_after()))
}

/// Opens a session, and keeps a new account before anything is ordered with it.
async fn open(order: &Arc<Order>, kept: Option<String>, tools: &Tools) -> Result<Session, Failed> {
    let opened = Session::open(order, kept.as_deref()).await;
    let (session, made) = opened?;
    if let Some(record) = made {
        disk(tools, order, move |order| {
            store::keep_account(order, Some(&record))
        })
        .await?;
    }
    Ok(session)
}

async fn ask(
    order: Arc<Order>,
    used: Option<Held>,
    tools: &Tools,
) -> Result<(Window, Duration), AcmeError> {
    let missing = |what: &str| AcmeError::State(format!("there is no {what}"));
    let used = used.ok_or_else(|| missing("certificate"))?;
    let kept = disk(tools, &order, |order| Ok(store::account(order))).await;
    let kept = kept.map_err(|(error, _)| error)?;
    // An account is made for an order alone.
    let kept = kept.ok_or_else(|| missing("account"))?;
    let opened = open(&order, Some(kept), tools).await;
    let session = opened.map_err(|(error, _)| error)?;
    session.window(&used.chain).await
}

/// Keeps the failed orders, or forgets them.
pub(super) async fn keep(order: Arc<Order>, attempts: Option<Attempts>, tools: &Tools) {
    let kept = disk(tools, &order, move |order| {
        store::keep_attempts(order, attempts.as_ref())
    });
    if let Err((error, _)) = kept.await {
        tracing::warn!(%error, "failed orders of certificates are not kept over a restart");
    }
}

/// Works on the disk.
async fn disk<T: Send + 'static>(
    tools: &Tools,
    order: &Arc<Order>,
    work: impl FnOnce(&Order) -> Result<T, AcmeError> + Send + 'static,
) -> Result<T, Failed> {
    let order = Arc::clone(order);
    let asked = tools.disk.ask(move || work(&order)).await;
    let asked = asked.map_err(|error| AcmeError::State(error.to_string()));
    asked.and_then(|done| done).map_err(|error| (error, None))
}

/// Time of an order, of which the CA needs the most: it verifies each name.
const ORDER_MAX: Duration = Duration::from_secs(300);
/// Time of a question about the renewal.
const ASK_MAX: Duration = Duration::from_secs(60);
