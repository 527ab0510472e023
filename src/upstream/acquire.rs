//! Acquires a connection: an open one with room, else a new one.
//!
//! A connection that can be shared is opened once: requests that arrive while it is being opened
//! wait for it.

use std::{rc::Rc, sync::Arc};

use tokio::time::Instant;

use super::{
    connect::{announce, connect},
    freed::Limit,
    idle::{Agreed, LocalEndpoint},
    local::LocalPool,
    opening::{EndsOpening, Opened},
    secure::secure,
    transport::{Http1Connection, Http2Connection, Http2Opening, Purpose, Reuse},
};
use crate::{config::value::PoolProtocol, failure::Failure, task, timer, tls::Alpn};

/// Requirements of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Need<'a> {
    /// Its purpose.
    pub purpose: Purpose,
    /// Rights of the request where there is no room.
    pub claim: Claim,
    /// True if it must be new, not an idle one.
    pub fresh: bool,
    /// PROXY protocol header at the start of a new connection; such a connection serves one client
    /// only.
    pub announcement: Option<&'a [u8]>,
    /// Deadline of its opening.
    pub deadline: Instant,
}

/// Rights of a request to a place in a pool without room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Claim {
    /// It can be served at once: it has no body, or its body has begun to arrive. It waits for a
    /// place, and takes that of an exchange whose client stands still.
    Full,
    /// Its body has not begun to arrive, and may never: it takes only a place that nobody waits
    /// for.
    Spare,
}

/// A connection that can carry the request.
#[derive(Debug)]
pub enum Acquired {
    /// An HTTP/1.1 connection for this request alone.
    Http1(Http1Connection),
    /// A share of an HTTP/2 connection.
    Http2(Rc<Http2Connection>),
}

impl LocalPool {
    /// Gets a connection to a picked endpoint: an open one if it is suitable, else a new one.
    ///
    /// # Errors
    /// The reason why no connection could be opened; nothing has been sent then.
    /// [`Failure::UpgradeFailed`] if the endpoint does not take WebSockets.
    pub async fn acquire(
        self: &Rc<Self>,
        endpoint: &Rc<LocalEndpoint>,
        need: &Need<'_>,
    ) -> Result<Acquired, Failure> {
        if need.claim == Claim::Spare && self.pool.shared.is_contended() {
            return Err(Failure::LimitReached);
        }
        match self.pool.protocol {
            // In memory of their own: a request over HTTP/1.1 does without.
            PoolProtocol::Http2 => Box::pin(self.acquire_shared(endpoint, need)).await,
            PoolProtocol::Auto if self.pool.tls.is_some() => {
                Box::pin(self.acquire_either(endpoint, need)).await
            }
            PoolProtocol::Http1 | PoolProtocol::Auto => {
                if let Some(idle) = self.take_idle(endpoint, need) {
                    return Ok(Acquired::Http1(idle));
                }
                self.open_own(endpoint, need, Alpn::Http1).await
            }
        }
    }

    /// Gets a share of an HTTP/2 connection. One connection to an endpoint is opened at a time, and
    /// all who need it wait for that one: a burst on a cold pool opens as many as its streams need,
    /// not as many as it has requests. A broken connection is never shared, so every connection
    /// returned here is as good as a new one.
    async fn acquire_shared(
        self: &Rc<Self>,
        endpoint: &Rc<LocalEndpoint>,
        need: &Need<'_>,
    ) -> Result<Acquired, Failure> {
        loop {
            if let Some(shared) = self.find_shared(endpoint) {
                return share(shared, need).ok_or(Failure::UpgradeFailed);
            }
            match self.opened(endpoint, need).await? {
                Some(Opened::Http2(connection)) if self.fits(&connection) => {
                    return share(connection, need).ok_or(Failure::UpgradeFailed);
                }
                Some(Opened::Http2(_)) | None => {}
                // An endpoint that does not agree on h2 has been refused before.
                Some(Opened::Http1) => return Err(Failure::Internal),
            }
        }
    }

    /// Gets a connection of the protocol that TLS agrees on. Until a handshake has chosen HTTP/1.1,
    /// one connection is opened at a time, as for HTTP/2. If an endpoint takes no WebSockets over
    /// HTTP/2, HTTP/1.1 is used for them.
    async fn acquire_either(
        self: &Rc<Self>,
        endpoint: &Rc<LocalEndpoint>,
        need: &Need<'_>,
    ) -> Result<Acquired, Failure> {
        loop {
            let mut shared = self.find_shared(endpoint);
            if shared.is_none() {
                if let Some(idle) = self.take_idle(endpoint, need) {
                    return Ok(Acquired::Http1(idle));
                }
                if endpoint.agreed() == Some(Agreed::Http1) {
                    return match need.purpose {
                        Purpose::Exchange => self.open_own(endpoint, need, Alpn::Either).await,
                        Purpose::WebSocket => self.open_http1(endpoint, need).await,
                    };
                }
                if let Some(Opened::Http2(connection)) = self.opened(endpoint, need).await? {
                    shared = Some(connection).filter(|connection| self.fits(connection));
                }
            }
            if let Some(connection) = shared {
                return match share(connection, need) {
                    Some(acquired) => Ok(acquired),
                    None => self.open_http1(endpoint, need).await,
                };
            }
        }
    }

    /// Gets an HTTP/1.1 connection to an endpoint that also speaks HTTP/2.
    async fn open_http1(
        &self,
        endpoint: &Rc<LocalEndpoint>,
        need: &Need<'_>,
    ) -> Result<Acquired, Failure> {
        if let Some(idle) = self.take_idle(endpoint, need) {
            return Ok(Acquired::Http1(idle));
        }
        let opened = self.open_own(endpoint, need, Alpn::Http1).await;
        // It refuses the protocol and is well otherwise.
        opened.map_err(|failure| match failure {
            Failure::TlsProtocol => Failure::UpgradeFailed,
            other => other,
        })
    }

    /// Waits for the connection that is being opened for all; begins to open one if there is none.
    /// None if there was no room for it and a stream has become free instead.
    async fn opened(
        self: &Rc<Self>,
        endpoint: &Rc<LocalEndpoint>,
        need: &Need<'_>,
    ) -> Result<Option<Opened>, Failure> {
        if need.claim == Claim::Spare && !self.is_free(Limit::Connections) {
            return Err(Failure::LimitReached);
        }
        match self.open_together(endpoint, need.deadline).await {
            Err(Failure::LimitReached)
                if need.claim == Claim::Full && self.free_stream(endpoint, need.deadline).await =>
            {
                Ok(None)
            }
            opened => opened.map(Some),
        }
    }

    async fn open_together(
        self: &Rc<Self>,
        endpoint: &Rc<LocalEndpoint>,
        deadline: Instant,
    ) -> Result<Opened, Failure> {
        let opening = match endpoint.opening() {
            Some(opening) => opening,
            None => {
                let opening = endpoint.begin_opening();
                let ends = EndsOpening(Rc::clone(&opening));
                let (pool, endpoint) = (Rc::clone(self), Rc::clone(endpoint));
                task::spawn_local("upstream connect", async move {
                    ends.0.end(pool.open_for_all(&endpoint).await);
                });
                opening
            }
        };
        let opened = timer::until(deadline, opening.outcome()).await;
        opened.map_err(|_| Failure::ConnectTimeout)?
    }

    async fn open_for_all(&self, endpoint: &Rc<LocalEndpoint>) -> Result<Opened, Failure> {
        let deadline = Instant::now() + self.pool.connect_timeout;
        let alpn = match self.pool.protocol {
            PoolProtocol::Http2 => Alpn::Http2,
            PoolProtocol::Http1 | PoolProtocol::Auto => Alpn::Either,
        };
        let opened = self.open(endpoint, Claim::Full, None, alpn, deadline);
        Ok(match opened.await? {
            Acquired::Http2(connection) => Opened::Http2(connection),
            Acquired::Http1(connection) => {
                endpoint.give_back(connection);
                Opened::Http1
            }
        })
    }

    /// Opens a connection for this request alone.
    async fn open_own(
        &self,
        endpoint: &Rc<LocalEndpoint>,
        need: &Need<'_>,
        alpn: Alpn,
    ) -> Result<Acquired, Failure> {
        let connected = Instant::now() + self.pool.connect_timeout;
        let deadline = need.deadline.min(connected);
        // And so does one that finds an open connection.
        Box::pin(self.open(endpoint, need.claim, need.announcement, alpn, deadline)).await
    }

    async fn open(
        &self,
        endpoint: &Rc<LocalEndpoint>,
        claim: Claim,
        announcement: Option<&[u8]>,
        alpn: Alpn,
        deadline: Instant,
    ) -> Result<Acquired, Failure> {
        let counted = self.count_connection(claim, deadline).await;
        let mut guard = counted.ok_or(Failure::LimitReached)?;
        let pool = &*self.pool;
        let described = endpoint.described();
        let address = &described.endpoint.address;
        let mut stream = connect(address, deadline).await?;
        let mut reuse = Reuse::Allowed;
        if let Some(header) = announcement {
            announce(&mut stream, header, deadline).await?;
            reuse = Reuse::Never;
        }
        let (stream, http2) = match &pool.tls {
            None => (stream, pool.protocol == PoolProtocol::Http2),
            Some(tls) => secure(pool, tls, stream, &described.endpoint, alpn, deadline).await?,
        };
        if alpn == Alpn::Either {
            endpoint.agree(if http2 { Agreed::Http2 } else { Agreed::Http1 });
        }
        self.metrics.connections_total.inc();
        guard.opened(&endpoint.metrics);
        let security = pool.security;
        if http2 {
            let opening = Http2Opening {
                guard,
                pool: Arc::clone(&pool.shared),
                security,
                endpoint: Arc::clone(&described.endpoint.label),
                deadline,
            };
            let connection = Http2Connection::open(stream, opening).await?;
            endpoint.share(&connection);
            Ok(Acquired::Http2(connection))
        } else {
            let now = Instant::now();
            let connection = Http1Connection::new(stream, guard, security, now, reuse);
            Ok(Acquired::Http1(connection))
        }
    }

    /// Returns an open HTTP/2 connection with room.
    fn find_shared(&self, endpoint: &LocalEndpoint) -> Option<Rc<Http2Connection>> {
        let pool = &*self.pool;
        endpoint.http2(timer::recent(), pool.security, pool.lifetime)
    }

    /// Returns an open idle HTTP/1.1 connection, if one is suitable.
    fn take_idle(&self, endpoint: &LocalEndpoint, need: &Need<'_>) -> Option<Http1Connection> {
        if need.fresh || need.announcement.is_some() {
            return None;
        }
        let pool = &*self.pool;
        endpoint.take_idle(
            timer::recent(),
            pool.security,
            pool.idle_timeout,
            pool.lifetime,
        )
    }

    /// Returns true if a connection that was just opened can be used: it may have been filled by
    /// others before this task woke up, or opened before a reload.
    fn fits(&self, connection: &Http2Connection) -> bool {
        connection.security() == self.pool.security
            && connection.has_room(timer::recent(), self.pool.lifetime)
    }
}

/// Takes a share of a connection; none if a WebSocket is wanted and the endpoint takes none.
fn share(connection: Rc<Http2Connection>, need: &Need<'_>) -> Option<Acquired> {
    let able = need.purpose != Purpose::WebSocket || connection.takes_websockets();
    able.then_some(Acquired::Http2(connection))
}
