//! Slices as API servers describe them, and the endpoints that they are.

use serde_json::{Value, json, value::RawValue};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::*;
use crate::upstream::discovery::EndpointList;
use crate::upstream::endpoint::Standing;

pub(super) fn settings() -> KubernetesSource {
    KubernetesSource {
        services: vec!["orders".to_owned()],
        namespace: None,
        port: None,
        family: DnsFamily::Any,
        version_label: "app.kubernetes.io/version".to_owned(),
        address: None,
        account: None,
        token: None,
        client: None,
        ca: None,
    }
}

fn slice(name: &str, kind: &str, endpoints: &Value) -> Value {
    json!({
        "metadata": { "name": name, "resourceVersion": "7", "labels": {
            "kubernetes.io/service-name": "orders", "app.kubernetes.io/version": "v1.4.2" } },
        "addressType": kind,
        "endpoints": endpoints,
        "ports": [{ "name": "http", "port": 8080, "protocol": "TCP" }],
    })
}

fn put(slices: &mut Slices, it: &Value, settings: &KubernetesSource) {
    let text = it.to_string();
    let text: &RawValue = serde_json::from_str(&text).unwrap();
    let Object { metadata } = serde_json::from_str(text.get()).unwrap();
    let name = metadata.name.clone();
    slices.put(name, Slice::read(text, metadata, settings, "shop"));
}

fn list(all: &[Value], settings: &KubernetesSource) -> EndpointList {
    let mut slices = Slices::default();
    for it in all {
        put(&mut slices, it, settings);
    }
    slices.list(settings.family)
}

fn shown(all: &[Value], settings: &KubernetesSource) -> (Vec<String>, Vec<String>) {
    let list = list(all, settings);
    let shown = list.endpoints.iter().map(|it| {
        let standing = match &it.standing {
            Standing::Up => "up",
            Standing::Down(why) | Standing::Leaving(why) => why,
        };
        format!("{} {standing}", it.label)
    });
    (shown.collect(), list.skipped.first().to_vec())
}

#[test]
fn conditions_decide_who_serves_and_who_is_drained() {
    let endpoints = |last: Value| {
        json!([
            { "addresses": ["10.0.0.1"] },
            { "addresses": ["10.0.0.2"], "conditions": { "ready": true, "serving": true, "terminating": false } },
            { "addresses": ["10.0.0.3"], "conditions": { "ready": false } },
            { "addresses": ["10.0.0.4"], "conditions": { "ready": false, "serving": true, "terminating": true } },
            { "addresses": ["10.0.0.5"], "conditions": { "ready": false, "serving": false, "terminating": true } },
            // publishNotReadyAddresses
            { "addresses": ["10.0.0.6"], "conditions": { "ready": true, "serving": false, "terminating": true } },
            last,
        ])
    };
    let more = json!({ "addresses": ["10.0.0.7", "10.0.0.8"], "conditions": {} });
    let (all, skipped) = shown(&[slice("a", "IPv4", &endpoints(more))], &settings());
    assert_eq!(
        all,
        [
            "10.0.0.1:8080 up",
            "10.0.0.2:8080 up",
            "10.0.0.3:8080 not ready",
            "10.0.0.4:8080 terminating",
            "10.0.0.5:8080 terminating",
            "10.0.0.6:8080 up",
            "10.0.0.7:8080 up",
        ]
    );
    assert!(skipped.is_empty(), "{skipped:?}");
    // Nobody is ready: those that still serve while they end do.
    let ending = json!([
        { "addresses": ["10.0.0.3"], "conditions": { "ready": false } },
        { "addresses": ["10.0.0.4"], "conditions": { "ready": false, "serving": true, "terminating": true } },
    ]);
    let (all, _) = shown(&[slice("a", "IPv4", &ending)], &settings());
    assert_eq!(all, ["10.0.0.3:8080 not ready", "10.0.0.4:8080 up"]);
}

#[test]
fn zone_node_pod_and_version_are_read_of_both_versions_of_the_api() {
    let pod = json!({ "kind": "Pod", "name": "orders-1", "uid": "u1" });
    let new =
        json!([{ "addresses": ["10.0.0.1"], "zone": "a", "nodeName": "n1", "targetRef": pod }]);
    let old = json!([{ "addresses": ["10.0.0.1"], "targetRef": pod, "topology": {
        "topology.kubernetes.io/zone": "a", "kubernetes.io/hostname": "n1" } }]);
    for endpoints in [new, old] {
        let list = list(&[slice("a", "IPv4", &endpoints)], &settings());
        let endpoint = &list.endpoints[0];
        assert_eq!(endpoint.zone.as_deref(), Some("a"));
        assert_eq!(endpoint.version_label.as_deref(), Some("1.4.2"));
        let labels: Vec<_> = endpoint
            .labels
            .iter()
            .map(|(k, v)| format!("{k}={v}"))
            .collect();
        assert_eq!(labels, ["node=n1", "pod=orders-1", "service=orders"]);
    }
}

#[test]
fn an_address_in_several_slices_and_a_pod_of_two_families_are_one_endpoint() {
    let both = |address: &str, ready: bool| {
        json!([{ "addresses": [address], "conditions": { "ready": ready },
            "targetRef": { "name": "orders-1", "uid": "u1" } }])
    };
    let moved = [
        slice("a", "IPv4", &both("10.0.0.1", false)),
        slice("b", "IPv4", &both("10.0.0.1", true)),
        slice("c", "IPv6", &both("fd00::1", true)),
    ];
    let of = |family| {
        let settings = KubernetesSource {
            family,
            ..settings()
        };
        shown(&moved, &settings).0
    };
    assert_eq!(of(DnsFamily::Any), ["10.0.0.1:8080 up"]);
    assert_eq!(of(DnsFamily::V4), ["10.0.0.1:8080 up"]);
    assert_eq!(of(DnsFamily::V6), ["[fd00::1]:8080 up"]);
    // Without a pod nothing tells that two addresses are one server.
    let bare = [
        slice("a", "IPv4", &json!([{ "addresses": ["10.0.0.1"] }])),
        slice("b", "IPv6", &json!([{ "addresses": ["fd00::1"] }])),
        slice("c", "FQDN", &json!([{ "addresses": ["Orders.internal"] }])),
    ];
    assert_eq!(
        shown(&bare, &settings()).0,
        [
            "10.0.0.1:8080 up",
            "[fd00::1]:8080 up",
            "orders.internal:8080 up"
        ]
    );
}

#[test]
fn a_port_is_the_only_one_or_the_one_that_is_asked_for() {
    let with = |ports: Value, port: Option<KubernetesPort>| {
        let mut slice = slice("a", "IPv4", &json!([{ "addresses": ["10.0.0.1"] }]));
        slice["ports"] = ports;
        let settings = KubernetesSource { port, ..settings() };
        let (all, skipped) = shown(&[slice], &settings);
        all.into_iter().chain(skipped).next().unwrap()
    };
    let two = json!([
        { "name": "http", "port": 8080, "protocol": "TCP" },
        { "name": "metrics", "port": 9090 },
        { "name": "dns", "port": 53, "protocol": "UDP" },
    ]);
    let name = |text: &str| Some(KubernetesPort::Name(text.to_owned()));
    let number = |number| Some(KubernetesPort::Number(number));
    assert_eq!(with(two.clone(), name("metrics")), "10.0.0.1:9090 up");
    assert_eq!(with(two.clone(), number(8080)), "10.0.0.1:8080 up");
    assert_eq!(
        with(two.clone(), None),
        "a: it has several ports, \"http\" (8080), \"metrics\" (9090): set \"port\" to one of them"
    );
    assert_eq!(
        with(two.clone(), number(80)),
        "a: it has no port 80, but \"http\" (8080), \"metrics\" (9090)"
    );
    assert!(with(two, name("dns")).contains("no port \"dns\""));
    // No list, and one without a number: every port.
    assert_eq!(with(Value::Null, number(80)), "10.0.0.1:80 up");
    assert_eq!(with(json!([{ "name": "" }]), number(80)), "10.0.0.1:80 up");
    assert!(with(Value::Null, None).contains("set \"port\" to the number"));
}

#[test]
fn what_cannot_be_used_is_left_out_and_told() {
    let odd = json!([
        { "addresses": [] },
        { "addresses": ["10.0.0.300"] },
        { "addresses": ["10.0.0.1"] },
    ]);
    let labels = json!({ "kubernetes.io/service-name": "orders" });
    let torn = json!({ "metadata": { "name": "torn", "labels": labels }, "addressType": 7 });
    let all = [
        slice("a", "IPv4", &odd),
        slice("b", "FQDN", &json!([{ "addresses": ["unix:/run/x"] }])),
        slice("c", "IPX", &json!([{ "addresses": ["1"] }])),
        slice("empty", "IPv4", &Value::Null),
        torn,
    ];
    let (used, skipped) = shown(&all, &settings());
    assert_eq!(used, ["10.0.0.1:8080 up"]);
    assert_eq!(
        skipped[..4],
        [
            "a: an endpoint has no address",
            "a: 10.0.0.300 is no address of the type IPv4",
            "b: unix:/run/x is no address of the type FQDN",
            "c: addresses of the type IPX are not known",
        ]
    );
    assert!(
        skipped[4].starts_with("torn: invalid type"),
        "{}",
        skipped[4]
    );
}

#[test]
fn a_slice_that_was_not_asked_for_and_a_link_local_address_are_left_out() {
    let one = json!([{ "addresses": ["10.0.0.1"] }]);
    let with = |pointer: &str, value: Value| {
        let mut slice = slice("a", "IPv4", &one);
        *slice.pointer_mut(pointer).unwrap() = value;
        shown(&[slice], &settings())
    };
    let labels = "/metadata/labels/kubernetes.io~1service-name";
    assert_eq!(with(labels, "orders".into()).0, ["10.0.0.1:8080 up"]);
    let other = with(labels, "other".into());
    assert_eq!(other.0, [""; 0]);
    assert_eq!(
        other.1,
        ["a: it is of the Service \"other\", not of orders"]
    );
    let mut elsewhere = slice("a", "IPv4", &one);
    for (namespace, used) in [("shop", 1), ("bank", 0)] {
        elsewhere["metadata"]["namespace"] = namespace.into();
        let (all, told) = shown(std::slice::from_ref(&elsewhere), &settings());
        assert_eq!((all.len(), told.len()), (used, 1 - used), "{told:?}");
        if let Some(told) = told.first() {
            assert_eq!(told, "a: it is of the namespace bank, not of shop");
        }
    }
    for (kind, address) in [
        ("IPv4", "169.254.169.254"),
        ("IPv6", "fe80::1"),
        ("IPv6", "::ffff:169.254.169.254"),
    ] {
        let endpoints = json!([{ "addresses": [address] }]);
        let (all, told) = shown(&[slice("a", kind, &endpoints)], &settings());
        assert_eq!(all, [""; 0]);
        assert!(told[0].contains("is a link-local address"), "{told:?}");
    }
}

#[test]
fn what_is_kept_of_slices_is_bounded_whatever_is_in_them() {
    // Puts slices until they are refused; returns their number and the reason.
    let until_refused = |slice: &dyn Fn(usize) -> Value| {
        let mut slices = Slices::default();
        for count in 1..=60_000 {
            put(&mut slices, &slice(count), &settings());
            if let Err(ApiError::Garbled(why)) = slices.bounded() {
                // Room is given back.
                for count in 1..=count {
                    slices.remove(slice(count)["metadata"]["name"].as_str().unwrap());
                }
                assert!(slices.bounded().is_ok() && !slices.has("orders"));
                return (count, why);
            }
        }
        panic!("no bound");
    };
    let empty = |count: usize| slice(&format!("s{count}"), "IPv4", &Value::Null);
    let (count, why) = until_refused(&empty);
    assert_eq!((count, &*why), (50_001, "more than 50000 EndpointSlices"));
    let bad: Value = (0..1000).map(|_| json!({ "addresses": ["x"] })).collect();
    let (count, why) = until_refused(&|count| slice(&format!("s{count}"), "IPv4", &bad));
    assert_eq!(count, 51);
    assert_eq!(
        why,
        "more than 50000 endpoints, with those that cannot be used"
    );
    let long = "x".repeat(1 << 20);
    let named = |count: usize| slice(&format!("{long}{count}"), "IPv4", &Value::Null);
    let pod = json!([{ "addresses": ["10.0.0.1"], "targetRef": { "name": long } }]);
    let zoned = json!([{ "addresses": ["10.0.0.1"], "zone": long }]);
    let of = |endpoints: &Value, count: usize| slice(&format!("s{count}"), "IPv4", endpoints);
    let versioned = |count: usize| {
        let mut slice = of(&json!([{ "addresses": ["10.0.0.1"] }]), count);
        slice["metadata"]["labels"]["app.kubernetes.io/version"] = format!("1.0.0+{long}").into();
        slice
    };
    for (slice, most) in [
        (&named as &dyn Fn(usize) -> Value, 32),
        (&|count| of(&pod, count), 32),
        (&|count| of(&zoned, count), 32),
        (&versioned, 16),
    ] {
        let (count, why) = until_refused(slice);
        assert_eq!(count, most);
        assert_eq!(
            why,
            "EndpointSlices with more than 32 MiB of names and labels"
        );
    }
}

#[test]
fn the_words_of_the_source_name_server_service_and_namespace() {
    let mut settings = settings();
    assert_eq!(settings.to_string(), "kubernetes service orders");
    settings.namespace = Some("shop".to_owned());
    settings.services.push("orders-canary".to_owned());
    settings.address = Some(HttpUrl::parse("https://10.0.0.1:6443").unwrap());
    assert_eq!(
        settings.to_string(),
        "https://10.0.0.1:6443 service orders,orders-canary in shop"
    );
}

/// A server that lists one endpoint more each time, and says nothing in a watch.
async fn silent_server() -> HttpUrl {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = HttpUrl::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    tokio::spawn(async move {
        let (mut lists, mut watches) = (0, Vec::new());
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            loop {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n")
                    && let Ok(byte) = stream.read_u8().await
                {
                    head.push(byte);
                }
                let head = String::from_utf8(head).unwrap();
                if head.is_empty() {
                    break;
                }
                if head.contains("watch=1") {
                    let begin = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
                    stream.write_all(begin.as_bytes()).await.unwrap();
                    watches.push(stream);
                    break;
                }
                lists += 1;
                let all: Vec<Value> = (1..=lists)
                    .map(|last| json!({ "addresses": [format!("10.0.0.{last}")] }))
                    .collect();
                let body = json!({ "metadata": { "resourceVersion": "7" },
                    "items": [slice("a", "IPv4", &all.into())] })
                .to_string();
                let length = body.len();
                let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{body}");
                stream.write_all(answer.as_bytes()).await.unwrap();
            }
        }
    });
    url
}

#[tokio::test]
async fn a_watch_that_is_silent_past_its_time_is_given_up_and_all_is_listed_anew() {
    let mut source = Kubernetes::new(Arc::new(KubernetesSource {
        namespace: Some("shop".to_owned()),
        address: Some(silent_server().await),
        ..settings()
    }));
    let count = |update: Result<Update, DiscoveryError>| match update.unwrap() {
        Update::List(list) => list.endpoints.len(),
        Update::Unchanged => 0,
    };
    assert_eq!(count(source.next().await), 1);
    // It was well for long: no error, and another list.
    let now = Instant::now();
    let watch = source.watch.as_mut().unwrap();
    (watch.since, watch.until) = (now.checked_sub(STEADY).unwrap(), now);
    assert_eq!(count(source.next().await), 2);
    // It was not: that is told.
    source.watch.as_mut().unwrap().until = Instant::now();
    let told = source.next().await.unwrap_err().to_string();
    assert!(told.contains("no answer within"), "{told}");
    assert_eq!(count(source.next().await), 3);
}
