//! Heads on their way out.

use bytes::BytesMut;
use http::{HeaderValue, Method, StatusCode, Version};
use sluicegate::http1::{
    Framing, KeepAlive, encode_continue, encode_request_head, encode_response_head,
};
use sluicegate::semantics::Headers;

fn map(fields: &[(&'static str, &'static str)]) -> Headers {
    let mut headers = Headers::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_static(value));
    }
    headers
}

fn request(target: &str, fields: &[(&'static str, &'static str)], framing: Framing) -> String {
    let mut out = BytesMut::new();
    let headers = map(fields);
    encode_request_head(
        &mut out,
        &Method::POST,
        target.as_bytes(),
        &headers,
        &framing,
    );
    String::from_utf8(out.to_vec()).unwrap()
}

#[test]
fn te_is_named_as_a_field_of_the_connection() {
    let alone = request("/", &[("host", "a"), ("te", "trailers")], Framing::None);
    assert_eq!(
        alone,
        "POST / HTTP/1.1\r\nhost: a\r\nte: trailers\r\nconnection: TE\r\n\r\n"
    );
    let fields = [
        ("connection", "upgrade"),
        ("upgrade", "x"),
        ("te", "trailers"),
    ];
    let switching = request("/", &fields, Framing::None);
    assert!(switching.contains("\r\nconnection: upgrade\r\n"));
    assert!(switching.ends_with("\r\nconnection: TE\r\n\r\n"));
}

#[test]
fn a_request_has_its_host_first_and_its_framing_last() {
    let fields = [("accept", "*/*"), ("host", "a"), ("x", "1"), ("x", "2")];
    let expected = "POST /p?q HTTP/1.1\r\nhost: a\r\naccept: */*\r\nx: 1\r\nx: 2\r\n";
    assert_eq!(
        request("/p?q", &fields, Framing::None),
        format!("{expected}\r\n")
    );
    assert_eq!(
        request("/p?q", &fields, Framing::Length(12)),
        format!("{expected}content-length: 12\r\n\r\n")
    );
    assert_eq!(
        request("/p?q", &fields, Framing::Chunked),
        format!("{expected}transfer-encoding: chunked\r\n\r\n")
    );
}

#[test]
fn framing_fields_of_the_map_are_not_written() {
    let fields = [
        ("content-length", "9"),
        ("transfer-encoding", "gzip"),
        ("content-length", "8"),
    ];
    assert_eq!(
        request("/", &fields, Framing::None),
        "POST / HTTP/1.1\r\n\r\n"
    );
}

#[test]
fn a_target_cannot_split_the_request() {
    let out = request("/a b\r\nX: y\u{e9}#", &[], Framing::None);
    assert_eq!(out, "POST /a%20b%0D%0AX:%20y\u{e9}%23 HTTP/1.1\r\n\r\n");
}

struct Answer {
    version: Version,
    status: u16,
    framing: Framing,
    keep_alive: KeepAlive,
    date: bool,
}

const PLAIN: Answer = Answer {
    version: Version::HTTP_11,
    status: 200,
    framing: Framing::Length(2),
    keep_alive: KeepAlive::Keep,
    date: false,
};

impl Answer {
    fn encode(&self, fields: &[(&'static str, &'static str)]) -> String {
        let mut out = BytesMut::new();
        encode_response_head(
            &mut out,
            self.version,
            StatusCode::from_u16(self.status).unwrap(),
            &map(fields),
            &self.framing,
            self.keep_alive,
            self.date.then_some(b"Sun, 06 Nov 1994 08:49:37 GMT"),
        );
        String::from_utf8(out.to_vec()).unwrap()
    }
}

#[test]
fn a_response_has_its_fields_and_framing() {
    let out = PLAIN.encode(&[("server", "x"), ("set-cookie", "a"), ("set-cookie", "b")]);
    let expected = "HTTP/1.1 200 OK\r\nserver: x\r\nset-cookie: a\r\nset-cookie: b\r\n\
                    content-length: 2\r\n\r\n";
    assert_eq!(out, expected);
    let out = Answer {
        status: 299,
        framing: Framing::Chunked,
        ..PLAIN
    }
    .encode(&[]);
    assert_eq!(out, "HTTP/1.1 299 \r\ntransfer-encoding: chunked\r\n\r\n");
    let out = Answer {
        status: 404,
        ..PLAIN
    }
    .encode(&[("content-length", "99")]);
    assert_eq!(out, "HTTP/1.1 404 Not Found\r\ncontent-length: 2\r\n\r\n");
}

#[test]
fn the_codec_alone_says_whether_the_connection_persists() {
    let fields = [("connection", "keep-alive")];
    let close = Answer {
        keep_alive: KeepAlive::Close,
        ..PLAIN
    };
    assert!(
        close
            .encode(&fields)
            .ends_with("content-length: 2\r\nconnection: close\r\n\r\n")
    );
    assert!(!PLAIN.encode(&fields).contains("connection"));
    let old = Answer {
        version: Version::HTTP_10,
        ..PLAIN
    };
    assert!(old.encode(&[]).ends_with("connection: keep-alive\r\n\r\n"));
    let old_close = Answer {
        keep_alive: KeepAlive::Close,
        ..old
    };
    assert!(old_close.encode(&[]).ends_with("connection: close\r\n\r\n"));
    let until_close = Answer {
        framing: Framing::UntilClose,
        ..PLAIN
    };
    assert_eq!(
        until_close.encode(&[]),
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"
    );
}

#[test]
fn a_client_of_1_0_gets_a_close_instead_of_chunks() {
    let old = Answer {
        version: Version::HTTP_10,
        framing: Framing::Chunked,
        ..PLAIN
    };
    assert_eq!(
        old.encode(&[]),
        "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"
    );
}

#[test]
fn answers_without_a_body_have_the_length_they_may_have() {
    let bodiless = |status| Answer {
        status,
        framing: Framing::None,
        ..PLAIN
    };
    let length = [("content-length", "5")];
    let kept = "HTTP/1.1 304 Not Modified\r\ncontent-length: 5\r\n\r\n";
    assert_eq!(bodiless(304).encode(&length), kept);
    assert_eq!(
        bodiless(200).encode(&length),
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"
    );
    assert_eq!(bodiless(200).encode(&[]), "HTTP/1.1 200 OK\r\n\r\n");
    assert_eq!(
        bodiless(204).encode(&length),
        "HTTP/1.1 204 No Content\r\n\r\n"
    );
    assert_eq!(
        bodiless(103).encode(&length),
        "HTTP/1.1 103 Early Hints\r\n\r\n"
    );
    let framed = Answer {
        status: 204,
        ..PLAIN
    };
    assert_eq!(framed.encode(&[]), "HTTP/1.1 204 No Content\r\n\r\n");
}

#[test]
fn an_upgrade_keeps_its_connection_field() {
    let answer = Answer {
        status: 101,
        framing: Framing::None,
        ..PLAIN
    };
    let out = answer.encode(&[("connection", "upgrade"), ("upgrade", "websocket")]);
    let expected =
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n";
    assert_eq!(out, expected);
}

#[test]
fn a_date_is_added_where_it_is_missing() {
    let dated = Answer {
        date: true,
        ..PLAIN
    };
    assert!(
        dated
            .encode(&[])
            .contains("\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n")
    );
    assert_eq!(dated.encode(&[("date", "then")]).matches("date").count(), 1);
    let interim = Answer {
        status: 103,
        framing: Framing::None,
        ..dated
    };
    assert!(!interim.encode(&[]).contains("date"));
}

#[test]
fn the_interim_answer_is_a_whole_head() {
    let mut out = BytesMut::new();
    encode_continue(&mut out);
    assert_eq!(out, "HTTP/1.1 100 Continue\r\n\r\n");
}
