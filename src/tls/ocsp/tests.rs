use super::*;

/// One item of DER.
fn item(tag: u8, content: &[u8]) -> Vec<u8> {
    let mut out = vec![tag];
    match content.len() {
        length @ 0..=127 => out.push(u8::try_from(length).unwrap()),
        length => {
            out.push(0x82);
            out.extend(u16::try_from(length).unwrap().to_be_bytes());
        }
    }
    out.extend_from_slice(content);
    out
}

fn sequence(items: &[Vec<u8>]) -> Vec<u8> {
    item(0x30, &items.concat())
}

fn moment(text: &str) -> Vec<u8> {
    item(0x18, text.as_bytes())
}

/// A response with one entry of this status about this number, by the name of its issuer.
fn response(issuer: &[u8], serial: &[u8], status: Vec<u8>, until: Option<&str>) -> Vec<u8> {
    let hash = sequence(&[item(0x06, HASHES[0].0), item(0x05, b"")]);
    let name = digest::digest(HASHES[0].1, issuer);
    let id = sequence(&[
        hash,
        item(0x04, name.as_ref()),
        item(0x04, &[7; 20]),
        item(0x02, serial),
    ]);
    let mut single = vec![id, status, moment("20260101000000Z")];
    single.extend(until.map(|until| item(0xa0, &moment(until))));
    let answer = sequence(&[
        item(0xa2, &item(0x04, &[9; 20])),
        moment("20260101000000Z"),
        sequence(&[sequence(&single)]),
    ]);
    let signed = sequence(&[answer, sequence(&[]), item(0x03, b"\0signature")]);
    let bytes = sequence(&[item(0x06, BASIC), item(0x04, &signed)]);
    sequence(&[item(0x0a, &[0]), item(0xa0, &bytes)])
}

fn good() -> Vec<u8> {
    item(0x80, b"")
}

/// Asks of a fresh certificate what a response made for it says.
fn read(
    make: impl FnOnce(&X509Certificate<'_>) -> Vec<u8>,
) -> (Result<Staple, OcspFault>, Vec<u8>) {
    let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    let (_, parsed) =
        <X509Certificate<'_> as x509_parser::prelude::FromDer<_>>::from_der(made.cert.der())
            .unwrap();
    let der = make(&parsed);
    (Staple::read(der.clone(), &parsed), der)
}

fn about(status: Vec<u8>, until: Option<&str>) -> Result<Staple, OcspFault> {
    read(|it| {
        let serial = it.tbs_certificate.raw_serial();
        response(it.issuer().as_raw(), serial, status, until)
    })
    .0
}

#[test]
fn a_good_response_counts_from_its_time_to_its_end() {
    let staple = about(good(), Some("20260108000000Z")).unwrap();
    let (start, end) = (1_767_225_600, 1_767_830_400);
    assert_eq!((staple.from, staple.until), (start, Some(end)));
    assert_eq!(staple.overdue(start), None);
    assert_eq!(staple.overdue(start - CLOCKS_DIFFER_S), None);
    assert_eq!(
        staple.overdue(start - CLOCKS_DIFFER_S - 1),
        Some(OcspFault::Early(start))
    );
    assert_eq!(staple.overdue(end), None);
    assert_eq!(staple.overdue(end + 1), Some(OcspFault::Over(end)));
    let endless = about(good(), None).unwrap();
    assert_eq!(endless.overdue(i64::MAX), None);
}

#[test]
fn a_response_that_says_no_is_refused() {
    let revoked = item(0xa1, &moment("20260102000000Z"));
    let fault = about(revoked, None).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "says that the certificate was revoked at 2026-01-02T00:00:00Z"
    );
    assert_eq!(about(item(0x82, b""), None), Err(OcspFault::Unknown));
    let (late, _) = read(|_| sequence(&[item(0x0a, &[3])]));
    assert_eq!(late, Err(OcspFault::NoAnswer("try later")));
}

#[test]
fn another_number_or_another_issuer_is_another_certificate() {
    let (other, _) = read(|it| response(it.issuer().as_raw(), b"\x01", good(), None));
    assert_eq!(other, Err(OcspFault::Stranger));
    let (other, _) = read(|it| {
        let serial = it.tbs_certificate.raw_serial();
        response(b"another issuer", serial, good(), None)
    });
    assert_eq!(other, Err(OcspFault::Stranger));
}

#[test]
fn what_is_cut_or_bent_is_refused_and_never_a_panic() {
    let whole = |it: &X509Certificate<'_>| {
        let serial = it.tbs_certificate.raw_serial();
        response(it.issuer().as_raw(), serial, good(), None)
    };
    let (_, sample) = read(whole);
    let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    let (_, parsed) =
        <X509Certificate<'_> as x509_parser::prelude::FromDer<_>>::from_der(made.cert.der())
            .unwrap();
    for length in 0..sample.len() {
        let cut = Staple::read(sample[..length].to_vec(), &parsed);
        assert!(matches!(cut, Err(OcspFault::Malformed(_))), "{length}");
        for bit in 0..8 {
            let mut bent = sample.clone();
            bent[length] ^= 1 << bit;
            let _ = Staple::read(bent, &parsed);
        }
    }
    let longer = [sample, vec![0]].concat();
    let fault = Staple::read(longer, &parsed).unwrap_err();
    assert_eq!(
        fault.to_string(),
        "is malformed: something follows the response"
    );
    for text in ["", "-----BEGIN OCSP RESPONSE-----", "<html>"] {
        let fault = Staple::read(text.into(), &parsed).unwrap_err();
        assert!(matches!(fault, OcspFault::Malformed(_)), "{text}");
    }
}
