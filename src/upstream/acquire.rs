//! The way to a connection: one that is open and has room, else a new one.

use std::{rc::Rc, sync::Arc};

use tokio::time::Instant;

use super::{
    connect::{ConnectionGuard, announce, connect},
    idle::LocalEndpoint,
    local::LocalPool,
    opening::EndsOpening,
    picker::EndpointIndex,
    pool::{Pool, Protocol},
    secure::secure,
    transport::{Http1Connection, Http2Connection, Reuse},
};
use crate::{exchange::Failure, server::task, timer};

/// A connection that can carry the request.
#[derive(Debug)]
pub enum Acquired {
    /// An HTTP/1.1 connection of one's own.
    Http1(Box<Http1Connection>),
    /// A share of an HTTP/2 connection.
    Http2(Rc<Http2Connection>),
}

impl LocalPool {
    /// Gets a connection to a picked endpoint: an idle one unless `fresh`, else a new one.
    ///
    /// `announcement` is what a new connection begins with; such a one serves one client only.
    ///
    /// # Errors
    /// Why no connection could be opened; nothing has been sent then.
    pub async fn acquire(
        self: &Rc<Self>,
        index: EndpointIndex,
        fresh: bool,
        announcement: Option<&[u8]>,
        deadline: Instant,
    ) -> Result<Acquired, Failure> {
        if self.pool.protocol == Protocol::Http2 {
            return Box::pin(self.acquire_shared(index, deadline)).await;
        }
        let local = self.endpoint(index);
        let now = timer::recent();
        if !fresh
            && announcement.is_none()
            && let Some(open) = self.take_open(local, now)
        {
            return Ok(open);
        }
        let guard = self.count_connection().ok_or(Failure::LimitReached)?;
        let deadline = deadline.min(now + self.pool.connect_timeout);
        // In memory of its own: a request that finds an open connection does without.
        Box::pin(self.open(index, guard, announcement, deadline)).await
    }

    /// Gets a share of an HTTP/2 connection. One connection to an endpoint is opened at a
    /// time, and all who need it wait for that one: a burst on a cold pool opens as many as
    /// its streams need, not as many as it has requests. A broken connection is never shared,
    /// so every connection had here is as good as a new one.
    async fn acquire_shared(
        self: &Rc<Self>,
        index: EndpointIndex,
        deadline: Instant,
    ) -> Result<Acquired, Failure> {
        let local = self.endpoint(index);
        let Pool {
            security, lifetime, ..
        } = *self.pool;
        loop {
            if let Some(shared) = local.http2(Instant::now(), security, lifetime) {
                return Ok(Acquired::Http2(shared));
            }
            let opening = match local.opening() {
                Some(opening) => opening,
                None => {
                    let guard = self.count_connection().ok_or(Failure::LimitReached)?;
                    let opening = local.begin_opening();
                    let ends = EndsOpening(Rc::clone(&opening));
                    let pool = Rc::clone(self);
                    task::spawn_local("upstream http/2 connect", async move {
                        ends.0.end(pool.open_shared(index, guard).await);
                    });
                    opening
                }
            };
            let opened = timer::until(deadline, opening.outcome()).await;
            let connection = opened.map_err(|_| Failure::ConnectTimeout)??;
            // The others may have filled it before this one woke up, or it is of a time
            // before a reload.
            if connection.security() == security && connection.has_room(Instant::now(), lifetime) {
                return Ok(Acquired::Http2(connection));
            }
        }
    }

    async fn open_shared(
        &self,
        index: EndpointIndex,
        guard: ConnectionGuard,
    ) -> Result<Rc<Http2Connection>, Failure> {
        let deadline = Instant::now() + self.pool.connect_timeout;
        match self.open(index, guard, None, deadline).await? {
            Acquired::Http2(connection) => Ok(connection),
            // An endpoint that does not agree on h2 has been refused before.
            Acquired::Http1(_) => Err(Failure::Internal),
        }
    }

    async fn open(
        &self,
        index: EndpointIndex,
        guard: ConnectionGuard,
        announcement: Option<&[u8]>,
        deadline: Instant,
    ) -> Result<Acquired, Failure> {
        let pool = &*self.pool;
        let address = &pool.endpoints[index.0 as usize].address;
        let mut stream = connect(address, deadline).await?;
        let mut reuse = Reuse::Allowed;
        if let Some(header) = announcement {
            announce(&mut stream, header, deadline).await?;
            reuse = Reuse::Never;
        }
        let (stream, http2) = match &pool.tls {
            None => (stream, pool.protocol == Protocol::Http2),
            Some(tls) => secure(pool, tls, stream, address, deadline).await?,
        };
        self.metrics.connections_total.inc();
        let security = pool.security;
        if http2 {
            let shared = Arc::clone(&pool.shared);
            let opening = Http2Connection::open(stream, guard, shared, security, deadline);
            let connection = opening.await?;
            self.endpoint(index).share(&connection);
            Ok(Acquired::Http2(connection))
        } else {
            let now = Instant::now();
            let connection = Http1Connection::new(stream, guard, security, now, reuse);
            Ok(Acquired::Http1(Box::new(connection)))
        }
    }

    /// A connection that is open already and has room.
    fn take_open(&self, local: &LocalEndpoint, now: Instant) -> Option<Acquired> {
        let pool = &*self.pool;
        let shared = match pool.protocol {
            Protocol::Http1 => None,
            Protocol::Http2 | Protocol::Auto => local.http2(now, pool.security, pool.lifetime),
        };
        if let Some(shared) = shared {
            return Some(Acquired::Http2(shared));
        }
        match pool.protocol {
            Protocol::Http2 => None,
            Protocol::Http1 | Protocol::Auto => local
                .take_idle(now, pool.security, pool.idle_timeout, pool.lifetime)
                .map(Acquired::Http1),
        }
    }

    fn count_connection(&self) -> Option<ConnectionGuard> {
        let max = self.pool.limits.connections;
        let take = || ConnectionGuard::take(&self.pool.shared, max, &self.metrics.open);
        take().or_else(|| {
            // At the limit, an idle connection to another endpoint makes room.
            let closed = self.endpoints().iter().any(|other| other.close_oldest());
            if closed { take() } else { None }
        })
    }
}
