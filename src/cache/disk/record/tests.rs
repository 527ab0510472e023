use super::*;
use crate::{
    cache::{
        Arrival,
        key::{KeyRules, Url},
    },
    semantics::headers::fields,
};

fn key() -> Key {
    let url = Url {
        scheme: "https",
        host: "shop.example",
        target: b"/a?b",
    };
    KeyRules::default().key(url, &Headers::new())
}

fn entry() -> Entry {
    let headers = fields(&[
        ("Content-Type", "text/plain"),
        ("cache-tag", "one, two"),
        ("vary", "x-a, x-b"),
        ("x-twice", "1"),
        ("x-twice", "2"),
    ]);
    let meta = Meta::new(&Arrival {
        status: StatusCode::NOT_FOUND,
        headers: &headers,
        freshness: Freshness {
            lifetime: 60,
            explicit: true,
            while_revalidate: 5,
            if_error: 7,
            no_cache: false,
        },
        request: &fields(&[("x-a", "de")]),
        cohort: "version 2",
        now: 1000,
        delay: 3,
    });
    let pieces = [Bytes::from_static(b"the "), Bytes::from_static(b"body")];
    let trailers = fields(&[("x-sum", "1")]);
    Entry {
        meta: Arc::new(meta),
        content: Arc::new(Content::new(&pieces, Some(trailers))),
    }
}

fn file() -> Vec<u8> {
    let entry = entry();
    let mut file = head(&key(), 17, &entry);
    for piece in entry.content.pieces() {
        file.extend_from_slice(piece);
    }
    file
}

#[test]
fn an_answer_is_read_as_it_was_written() {
    let record = read(file().into()).unwrap();
    assert_eq!((&record.key[..], record.asked), (key().bytes(), 17));
    let (found, written) = (record.entry, entry());
    let (meta, expected) = (&found.meta, &written.meta);
    assert_eq!(meta.status, expected.status);
    assert_eq!(meta.freshness, expected.freshness);
    assert_eq!(meta.headers, expected.headers);
    assert_eq!(meta.age(1010), expected.age(1010));
    assert!(meta.replaces(expected));
    assert!(meta.has_tag("two"));
    let fits = fields(&[("x-a", "de")]);
    assert!(meta.fits("version 2", &fits) && !meta.fits("version 1", &fits));
    assert!(!meta.fits("version 2", &fields(&[("x-a", "de"), ("x-b", "")])));
    assert_eq!(found.content.length(), 8);
    assert_eq!(found.content.piece(&(0..8)), "the body");
    assert_eq!(found.content.trailers, written.content.trailers);
}

#[test]
fn a_file_with_any_octet_changed_or_missing_is_none() {
    let whole = file();
    for at in 0..whole.len() {
        for bit in [0x01, 0x80] {
            let mut changed = whole.clone();
            changed[at] ^= bit;
            assert!(read(changed.into()).is_none(), "{at}");
        }
        assert!(read(whole[..at].to_vec().into()).is_none(), "{at}");
    }
    let mut longer = whole;
    longer.push(0);
    assert!(read(longer.into()).is_none());
}

#[test]
fn a_head_that_lies_about_its_lengths_is_none() {
    // With right checksums: what a program with other ideas of the form would have written.
    for head in [
        &b""[..],
        &[0xff; 4],
        &[0, 0, 0, 0, 1],
        &[4, 0, 0, 0, b'a', b'b'],
        &[0xff; 200],
    ] {
        let mut file = MAGIC.to_vec();
        file.extend_from_slice(&u32::try_from(head.len()).unwrap().to_le_bytes());
        file.extend_from_slice(&sum(head).to_le_bytes());
        file.extend_from_slice(&0_u64.to_le_bytes());
        file.extend_from_slice(&sum(b"").to_le_bytes());
        file.extend_from_slice(head);
        assert!(read(file.into()).is_none(), "{head:?}");
    }
}
