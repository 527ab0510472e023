//! Views of connections for the admin API, with the exchanges under way on them.

use std::{collections::HashMap, net::SocketAddr, time::Duration};

use tokio::time::Instant;

use super::{Connection, Worker};
use crate::state::{Holder, HolderFilter};

/// An open connection as other threads see it.
#[derive(Clone, Debug)]
pub(crate) struct ConnectionView {
    pub(crate) id: String,
    pub(crate) listener: String,
    pub(crate) client: String,
    pub(crate) protocol: &'static str,
    /// The subject of the client's verified certificate.
    pub(crate) tls_subject: Option<String>,
    pub(crate) age_ms: u64,
    pub(crate) requests: u64,
    pub(crate) in_flight: u32,
    pub(crate) closing: bool,
    /// Generation of the configuration that it uses.
    pub(crate) generation: u64,
    /// The oldest exchanges under way.
    pub(crate) exchanges: Vec<HolderView>,
}

/// An exchange under way as other threads see it.
#[derive(Clone, Debug)]
pub(crate) struct HolderView {
    pub(crate) age_ms: u64,
    pub(crate) generation: u64,
    pub(crate) route: Option<String>,
    pub(crate) pool: Option<String>,
    pub(crate) endpoint: Option<String>,
    pub(crate) version: Option<String>,
}

/// Exchanges under way on one connection.
#[derive(Default)]
struct Holders {
    /// The oldest generation of all of them.
    generation: Option<u64>,
    selected: Vec<HolderView>,
}

impl Worker {
    /// Returns the views of the open connections that hold what is asked for, each with its oldest
    /// exchanges.
    pub(crate) fn view_connections(&self, filter: &HolderFilter) -> Vec<ConnectionView> {
        let now = Instant::now();
        let mut holders: HashMap<u64, Holders> = HashMap::new();
        self.under_way.each(|holder| {
            let found = holders.entry(holder.connection).or_default();
            let oldest = found.generation.unwrap_or(u64::MAX);
            found.generation = Some(oldest.min(holder.generation));
            if filter.selects(holder) {
                found.selected.push(HolderView::of(holder, now));
            }
        });
        let all = *filter == HolderFilter::default();
        let mut views = Vec::new();
        self.each_connection(|connection| {
            let mut holders = holders.remove(&connection.id).unwrap_or_default();
            if !all && holders.selected.is_empty() {
                return;
            }
            let exchanges = &mut holders.selected;
            exchanges.sort_by_key(|it| std::cmp::Reverse(it.age_ms));
            exchanges.truncate(EXCHANGES_MAX);
            views.push(self.view(connection, holders, now));
        });
        views
    }

    fn view(&self, connection: &Connection, holders: Holders, now: Instant) -> ConnectionView {
        let client = SocketAddr::new(connection.peer(), connection.peer_port());
        let session = connection.tls.get();
        let certificate = session.and_then(|session| session.client.as_ref());
        ConnectionView {
            id: format!("{}-{}", self.index, connection.id),
            listener: connection.known_listener().name.to_string(),
            client: client.to_string(),
            protocol: connection.protocol.get(),
            tls_subject: certificate.map(|client| client.subject.to_string()),
            age_ms: ms(now.saturating_duration_since(connection.since)),
            requests: connection.requests.get(),
            in_flight: connection.in_flight.get(),
            closing: connection.is_closing(),
            generation: holders
                .generation
                .unwrap_or_else(|| connection.generation()),
            exchanges: holders.selected,
        }
    }
}

impl HolderView {
    fn of(holder: &Holder, now: Instant) -> Self {
        Self {
            age_ms: ms(now.saturating_duration_since(holder.started)),
            generation: holder.generation,
            route: holder.route().map(str::to_owned),
            pool: holder.pool().map(str::to_owned),
            endpoint: holder.endpoint().map(str::to_owned),
            version: holder.version().map(str::to_owned),
        }
    }
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Maximum number of exchanges shown for one connection.
const EXCHANGES_MAX: usize = 32;
