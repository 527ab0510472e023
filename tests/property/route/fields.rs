//! Rules for header fields.

use std::net::IpAddr;

use http::{HeaderName, HeaderValue};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use sluicegate::semantics::Headers;
use sluicegate::semantics::forwarded::{Asked, Hop, Scheme, Trust, TrustedProxies, client_address};
use sluicegate::semantics::hop_by_hop::{Switching, strip_request, strip_response};

const NAMES: [&str; 12] = [
    "connection",
    "keep-alive",
    "te",
    "upgrade",
    "proxy",
    "host",
    "x-a",
    "x-b",
    "x-forwarded-for",
    "forwarded",
    "cookie",
    "transfer-encoding",
];

fn headers() -> impl Strategy<Value = Headers> {
    let tokens = vec(select(NAMES.to_vec()), 1..4).prop_map(|tokens| tokens.join(", "));
    let value = prop_oneof![
        tokens,
        "[ -~]{0,12}",
        Just("trailers".to_owned()),
        Just("for=\"[::1]:80\", for=1.2.3.4".to_owned())
    ];
    vec((select(NAMES.to_vec()), value), 0..10).prop_map(|lines| {
        let mut headers = Headers::new();
        for (name, value) in lines {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_str(&value).unwrap(),
            );
        }
        headers
    })
}

proptest! {
    #[test]
    fn stripping_leaves_nothing_of_one_connection(headers in headers()) {
        let mut request = headers.clone();
        strip_request(&mut request, Switching::No);
        for name in ["connection", "keep-alive", "upgrade", "proxy", "transfer-encoding"] {
            prop_assert!(!request.contains(name), "{name}");
        }
        prop_assert!(request.get("te").is_none_or(|value| value == "trailers"));
        for name in ["host", "cookie", "x-forwarded-for", "forwarded"] {
            prop_assert_eq!(request.get(name), headers.get(name));
        }
    }

    #[test]
    fn stripping_twice_is_stripping_once(headers in headers(), switching in any::<bool>()) {
        let switching = if switching { Switching::Yes } else { Switching::No };
        for strip in [strip_request, strip_response] {
            let mut once = headers.clone();
            strip(&mut once, switching);
            let mut twice = once.clone();
            strip(&mut twice, switching);
            prop_assert_eq!(once.to_map(), twice.to_map());
        }
    }

    #[test]
    fn no_field_of_an_untrusted_peer_reaches_the_endpoint(headers in headers(), peer in any::<IpAddr>()) {
        let mut request = headers;
        Hop::new(peer, Scheme::Http).write(
            &mut request,
            Trust::Untrusted,
            Asked { scheme: Scheme::Http, host: None },
            None,
        );
        prop_assert_eq!(request.get_all("x-forwarded-for").count(), 1);
        prop_assert_eq!(request.get_all("forwarded").count(), 1);
        let everyone = TrustedProxies::new(["10.0.0.0/8".parse().unwrap()]);
        let read = client_address("10.0.0.1".parse().unwrap(), &everyone, &request);
        prop_assert_eq!(read, peer.to_canonical());
    }

    #[test]
    fn the_client_is_never_an_address_that_a_stranger_chose(headers in headers(), peer in any::<IpAddr>()) {
        let trusted = TrustedProxies::new(["10.0.0.0/8".parse().unwrap()]);
        let peer = if trusted.contains(peer) { IpAddr::from([192, 0, 2, 1]) } else { peer };
        prop_assert_eq!(client_address(peer, &trusted, &headers), peer.to_canonical());
    }
}
