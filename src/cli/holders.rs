//! Lines that name what a drain waits for: connections, and the requests under way on them.

use super::{
    client::{Client, segment},
    exit_code::CommandError,
    print,
};
use crate::admin::model::{Connection, ExchangeUnderWay, Resource as _};

/// Prints the oldest connections that are open.
pub(super) fn tell_all(client: &Client) -> Result<(), CommandError> {
    tell(client, Vec::<Connection>::PATH, |_| true)
}

/// Prints the oldest connections with requests under way at an endpoint.
pub(super) fn tell_of_endpoint(
    client: &Client,
    pool: &str,
    address: &str,
) -> Result<(), CommandError> {
    let path = Vec::<Connection>::PATH;
    let path = format!(
        "{path}?pool={}&endpoint={}",
        segment(pool),
        segment(address)
    );
    // A proxy of an older version shows all connections.
    let holds = |it: &ExchangeUnderWay| {
        it.pool.as_deref() == Some(pool) && it.endpoint.as_deref() == Some(address)
    };
    tell(client, &path, |it| it.exchanges.iter().any(holds))
}

fn tell(
    client: &Client,
    path: &str,
    which: impl Fn(&Connection) -> bool,
) -> Result<(), CommandError> {
    // The proxy may have ended meanwhile.
    let connections = client.get(path);
    let connections = connections.and_then(|it| client.understand::<Vec<Connection>>(it));
    let connections = connections.unwrap_or_default();
    for it in connections.iter().filter(|it| which(it)).take(SHOWN_MAX) {
        print::remark(&lines(it))?;
    }
    Ok(())
}

/// Returns a line about a connection, and one about each of its oldest requests.
fn lines(it: &Connection) -> String {
    let (client, listener, protocol) = (&it.client, &it.listener, &it.protocol);
    let requests = print::counted(it.in_flight as usize, "request");
    let (age, generation) = (print::seconds(it.age_ms), it.generation);
    let mut lines = format!(
        "  {client} on {listener}, {protocol}: {requests} in flight, open for {age}, generation {generation}"
    );
    for exchange in it.exchanges.iter().take(SHOWN_MAX) {
        lines.push_str("\n    ");
        lines.push_str(&line(exchange));
    }
    lines
}

fn line(it: &ExchangeUnderWay) -> String {
    let age = print::seconds(it.age_ms);
    let route = match &it.route {
        Some(route) => format!("route {route}"),
        None => "no route yet".to_owned(),
    };
    let place = match (&it.pool, &it.endpoint) {
        (Some(pool), Some(endpoint)) => format!(" at {pool}/{endpoint}"),
        _ => String::new(),
    };
    let generation = it.generation;
    format!("{route}{place}, for {age}, generation {generation}")
}

/// Maximum number of connections shown at a time, and of requests of each.
const SHOWN_MAX: usize = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_request_under_way_has_a_line_with_what_it_holds() {
        let exchange = ExchangeUnderWay {
            age_ms: 61_500,
            generation: 2,
            route: Some("orders".to_owned()),
            pool: Some("app".to_owned()),
            endpoint: Some("127.0.0.1:9001".to_owned()),
            version: None,
        };
        let waiting = ExchangeUnderWay {
            age_ms: 10,
            generation: 3,
            route: None,
            pool: None,
            endpoint: None,
            version: None,
        };
        let connection = Connection {
            id: "0-7".to_owned(),
            listener: "web".to_owned(),
            client: "192.0.2.1:4000".to_owned(),
            protocol: "HTTP/2.0".to_owned(),
            tls_subject: None,
            age_ms: 62_000,
            requests: 9,
            in_flight: 2,
            closing: true,
            generation: 2,
            exchanges: vec![exchange, waiting],
        };
        let expected = "  192.0.2.1:4000 on web, HTTP/2.0: 2 requests in flight, open for 1m 2s, generation 2\
            \n    route orders at app/127.0.0.1:9001, for 1m 1s, generation 2\
            \n    no route yet, for 0s, generation 3";
        assert_eq!(lines(&connection), expected);
    }
}
