use super::*;
use crate::semantics::headers::{fields as headers, sorted};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn trusted(networks: &[&str]) -> TrustedProxies {
    TrustedProxies::new(networks.iter().map(|network| network.parse().unwrap()))
}

fn lines<'a>(headers: &'a Headers, name: &str) -> Vec<&'a str> {
    let lines = headers.get_all(name);
    lines.map(|value| value.to_str().unwrap()).collect()
}

fn asked(scheme: Scheme, host: Option<Value<'_>>) -> Asked<'_> {
    Asked { scheme, host }
}

#[test]
fn fields_of_an_untrusted_peer_are_not_believed() {
    let forged = headers(&[("x-forwarded-for", "1.1.1.1"), ("forwarded", "for=1.1.1.1")]);
    for networks in [&[][..], &["10.0.0.0/8"]] {
        let client = client_address(ip("9.9.9.9"), &trusted(networks), &forged);
        assert_eq!(client, ip("9.9.9.9"));
    }
}

#[test]
fn the_walk_ends_at_the_first_untrusted_address_from_the_right() {
    let proxies = trusted(&["10.0.0.0/8", "2001:db8::/32"]);
    for (field, expected) in [
        (&["1.1.1.1, 2.2.2.2, 10.0.0.2"][..], "2.2.2.2"),
        (&["1.1.1.1", "2.2.2.2,10.0.0.2"], "2.2.2.2"),
        (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
        (&["1.1.1.1, unknown, 10.0.0.2"], "10.0.0.2"),
        (&["1.1.1.1, , 10.0.0.2"], "10.0.0.2"),
        (&["junk"], "10.0.0.1"),
        (&["1.1.1.1:5000"], "1.1.1.1"),
        (&["[2001:db9::1]:80, 2001:db8::1"], "2001:db9::1"),
        (&["::ffff:1.1.1.1, ::ffff:10.0.0.2"], "1.1.1.1"),
    ] {
        let field: Vec<_> = field
            .iter()
            .map(|line| ("x-forwarded-for", *line))
            .collect();
        let client = client_address(ip("10.0.0.1"), &proxies, &headers(&field));
        assert_eq!(client, ip(expected), "{field:?}");
    }
    let client = client_address(ip("::ffff:10.0.0.1"), &proxies, &Headers::new());
    assert_eq!(client, ip("10.0.0.1"));
}

#[test]
fn forwarded_is_walked_when_it_stands_alone() {
    let proxies = trusted(&["10.0.0.0/8"]);
    for (field, expected) in [
        (
            "for=1.1.1.1, For=\"2.2.2.2:80\";proto=https, for=10.0.0.2",
            "2.2.2.2",
        ),
        (
            "for=\"[2001:db8::1]:4711\";host=\"a,b;for=3.3.3.3\"",
            "2001:db8::1",
        ),
        ("for=1.1.1.1, proto=http", "10.0.0.1"),
        ("for=_hidden", "10.0.0.1"),
        ("for=\"1.1.1.1:_x\"", "1.1.1.1"),
        ("host=\"unterminated, for=1.1.1.1", "1.1.1.1"),
        ("for=\"x, for=203.0.113.9", "203.0.113.9"),
        (
            "for=\"x\\\", for=203.0.113.9;host=\"a,b\", for=10.0.0.2",
            "203.0.113.9",
        ),
        ("for=\"x, for=10.0.0.2", "10.0.0.2"),
        (
            "for=203.0.113.9;host=\"a\\\",b\", for=10.0.0.2",
            "203.0.113.9",
        ),
    ] {
        let client = client_address(ip("10.0.0.1"), &proxies, &headers(&[("forwarded", field)]));
        assert_eq!(client, ip(expected), "{field}");
    }
    let both = headers(&[("forwarded", "for=1.1.1.1"), ("x-forwarded-for", "2.2.2.2")]);
    assert_eq!(
        client_address(ip("10.0.0.1"), &proxies, &both),
        ip("2.2.2.2")
    );
}

#[test]
fn an_untrusted_peer_has_its_fields_replaced() {
    let mut request = headers(&[
        ("x-forwarded-for", "1.1.1.1"),
        ("x-forwarded-for", "2.2.2.2"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "evil"),
        ("x-forwarded-port", "1"),
        ("x-real-ip", "1.1.1.1"),
        ("forwarded", "for=1.1.1.1"),
    ]);
    let hop = Hop::new(ip("9.9.9.9"), Scheme::Http);
    let host = Value::from_static("shop.example");
    hop.write(
        &mut request,
        Trust::Untrusted,
        asked(Scheme::Http, Some(host)),
        Some(host),
    );
    let expected = headers(&[
        ("x-forwarded-for", "9.9.9.9"),
        ("x-forwarded-proto", "http"),
        ("x-forwarded-host", "shop.example"),
        ("forwarded", "for=9.9.9.9;proto=http;host=shop.example"),
    ]);
    assert_eq!(sorted(&request), sorted(&expected));
}

#[test]
fn a_forged_host_goes_even_when_the_request_has_none() {
    let mut request = headers(&[("x-forwarded-host", "evil")]);
    Hop::new(ip("9.9.9.9"), Scheme::Http).write(
        &mut request,
        Trust::Untrusted,
        asked(Scheme::Http, None),
        None,
    );
    assert!(!request.contains(Known::XForwardedHost));
    assert_eq!(lines(&request, "forwarded"), ["for=9.9.9.9;proto=http"]);
}

#[test]
fn a_trusted_peer_has_its_fields_continued() {
    let mut request = headers(&[
        ("x-forwarded-for", "1.1.1.1"),
        ("x-forwarded-for", "2.2.2.2"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-host", "shop.example"),
        ("forwarded", "for=1.1.1.1;proto=https"),
    ]);
    let hop = Hop::new(ip("2001:db8::1"), Scheme::Http);
    let host = Value::from_static("inner:8080");
    hop.write(
        &mut request,
        Trust::Trusted,
        asked(Scheme::Https, Some(host)),
        Some(host),
    );
    assert_eq!(
        lines(&request, "x-forwarded-for"),
        ["1.1.1.1, 2.2.2.2, 2001:db8::1"]
    );
    assert_eq!(lines(&request, "x-forwarded-proto"), ["https"]);
    assert_eq!(lines(&request, "x-forwarded-host"), ["shop.example"]);
    let forwarded = "for=1.1.1.1;proto=https, for=\"[2001:db8::1]\";proto=http;host=\"inner:8080\"";
    assert_eq!(lines(&request, "forwarded"), [forwarded]);
}

#[test]
fn what_one_hop_writes_the_next_can_read() {
    let proxies = trusted(&["10.0.0.0/8"]);
    for client in ["1.1.1.1", "2001:db8::1"] {
        let mut request = Headers::new();
        let host = Value::from_static("[::1]:80");
        let hop = Hop::new(ip(client), Scheme::Https);
        let said = asked(Scheme::Https, Some(host));
        hop.write(&mut request, Trust::Untrusted, said, Some(host));
        assert_eq!(
            client_address(ip("10.0.0.1"), &proxies, &request),
            ip(client)
        );
        request.remove(Known::XForwardedFor);
        assert_eq!(
            client_address(ip("10.0.0.1"), &proxies, &request),
            ip(client)
        );
        assert_eq!(
            client_scheme(Scheme::Http, Trust::Trusted, &proxies, &request),
            Scheme::Https
        );
        assert_eq!(
            client_scheme(Scheme::Http, Trust::Untrusted, &proxies, &request),
            Scheme::Http
        );
    }
}

#[test]
fn a_trusted_peer_never_comes_to_look_like_the_client() {
    let hop = Hop::new(ip("10.0.0.1"), Scheme::Http);
    let mut request = headers(&[("x-forwarded-for", "1.1.1.1")]);
    hop.write(
        &mut request,
        Trust::Trusted,
        asked(Scheme::Http, None),
        None,
    );
    assert_eq!(lines(&request, "x-forwarded-for"), ["1.1.1.1, 10.0.0.1"]);
    assert!(!request.contains(Known::Forwarded));
    let mut request = headers(&[("forwarded", "for=1.1.1.1")]);
    hop.write(
        &mut request,
        Trust::Trusted,
        asked(Scheme::Http, None),
        None,
    );
    assert_eq!(
        lines(&request, "forwarded"),
        ["for=1.1.1.1, for=10.0.0.1;proto=http"]
    );
    assert!(!request.contains(Known::XForwardedFor));
    let mut request = Headers::new();
    hop.write(
        &mut request,
        Trust::Trusted,
        asked(Scheme::Http, None),
        None,
    );
    assert_eq!(lines(&request, "x-forwarded-for"), ["10.0.0.1"]);
    assert_eq!(lines(&request, "forwarded"), ["for=10.0.0.1;proto=http"]);
}

#[test]
fn no_host_can_add_an_element() {
    let proxies = trusted(&["10.0.0.0/8"]);
    for host in ["a;for=2.2.2.2", "a,for=2.2.2.2", "a=b", "(a)"] {
        let mut request = Headers::new();
        let hop = Hop::new(ip("1.1.1.1"), Scheme::Https);
        let value = Value::of_checked(host.as_bytes());
        let said = asked(Scheme::Https, Some(value));
        hop.write(&mut request, Trust::Untrusted, said, Some(value));
        let written = format!("for=1.1.1.1;proto=https;host=\"{host}\"");
        assert_eq!(lines(&request, "forwarded"), [written]);
        request.remove(Known::XForwardedFor);
        let client = client_address(ip("10.0.0.1"), &proxies, &request);
        assert_eq!(client, ip("1.1.1.1"));
    }
}

#[test]
fn scheme_and_host_are_read_from_either_way_to_say_them() {
    let proxies = trusted(&["10.0.0.0/8"]);
    for (lines, scheme, host) in [
        (&[("x-forwarded-proto", "https")][..], Scheme::Https, None),
        (
            &[(
                "forwarded",
                "for=1.1.1.1;proto=https;host=\"shop.example:81\"",
            )],
            Scheme::Https,
            Some("shop.example:81"),
        ),
        (
            &[(
                "forwarded",
                "proto=https;host=evil, for=1.1.1.1;proto=http;host=a, for=10.0.0.2",
            )],
            Scheme::Http,
            Some("a"),
        ),
        (
            &[
                ("forwarded", "for=1.1.1.1;proto=http;host=a"),
                ("x-forwarded-proto", "https, http"),
                ("x-forwarded-host", "b, c"),
            ],
            Scheme::Https,
            Some("b"),
        ),
        (&[("forwarded", "for=1.1.1.1")], Scheme::Http, None),
        (&[("x-forwarded-proto", "wss")], Scheme::Https, None),
        (&[("x-forwarded-proto", "ws")], Scheme::Http, None),
    ] {
        let request = headers(lines);
        let found = client_scheme(Scheme::Http, Trust::Trusted, &proxies, &request);
        assert_eq!(found, scheme, "{lines:?}");
        let found = client_host(Trust::Trusted, &proxies, &request);
        assert_eq!(found.as_ref().map(Authority::as_str), host, "{lines:?}");
        assert_eq!(client_host(Trust::Untrusted, &proxies, &request), None);
    }
}
