//! Any bytes as a request head, up to the choice of its route: no panic, the same route each time,
//! and the one that `explain` tells.

use std::{net::IpAddr, sync::LazyLock};

use bytes::BytesMut;
use http::Uri;
use sluicegate::failure::Failure;
use sluicegate::http1::{HeadLimits, parse_request_head};
use sluicegate::semantics::authority::{Authority, effective_authority};
use sluicegate::state::{Asked, HealthKnown, RequestView, Snapshot, explain, route};

use super::compiled::{ROUTES, compiled};

/// Checks one input.
pub(crate) fn run(data: &[u8]) {
    let mut buffer = BytesMut::from(data);
    let head = parse_request_head(&mut buffer, &mut 0, &HeadLimits::default());
    let Ok(Some(head)) = head else { return };
    let Ok(uri) = Uri::from_maybe_shared(head.target.clone()) else {
        return;
    };
    let named = uri.authority().map(|it| it.as_str());
    let Ok(authority) = effective_authority(head.version, named, &head.headers) else {
        return;
    };
    for (listener, client) in [(0, "192.0.2.7"), (1, "2001:db8::7"), (1, "127.0.0.1")] {
        let client: IpAddr = client.parse().expect("an address");
        let view = RequestView {
            listener,
            host: authority.as_ref().map_or("", Authority::host),
            path: uri.path(),
            query: uri.query(),
            method: &head.method,
            headers: &head.headers,
            client,
            certificate: None,
        };
        let decided = route(&SNAPSHOT, &view);
        assert_eq!(decided, route(&SNAPSHOT, &view));
        let name = SNAPSHOT.listeners[listener as usize].name.to_string();
        let asked = Asked {
            method: head.method.clone(),
            url: uri.clone(),
            headers: head.headers.clone(),
            listener: Some(name),
            source: Some(client),
            certificate: None,
        };
        match (decided, explain(&SNAPSHOT, &asked, HealthKnown::No)) {
            (Ok(decision), Ok(told)) => {
                let name = &SNAPSHOT.routes[decision.route.0 as usize].name;
                assert_eq!(told.route.as_deref(), Some(&**name));
            }
            (Err(Failure::RouteNotFound), Ok(told)) => assert_eq!(told.route, None),
            // A rule that the path violates.
            (Err(_), Err(sentence)) => assert!(!sentence.is_empty()),
            // Cost of one request, such as a header that a regex gives up on.
            (Err(Failure::BadRequest(_)), Ok(told)) => assert_eq!(told.route, None),
            (decided, told) => panic!("{decided:?}, and explained: {told:?}"),
        }
    }
}

static SNAPSHOT: LazyLock<Snapshot> = LazyLock::new(|| compiled(ROUTES));
