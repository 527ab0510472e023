//! OCSP responses (RFC 6960), as made by a responder. They are not signed: no test verifies the
//! signature.

use std::time::SystemTime;

use aws_lc_rs::digest::{SHA256, digest};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::certificate::Issued;

/// Certificate status that a response gives.
#[derive(Clone, Copy)]
pub(crate) enum Says {
    Good,
    Revoked,
    Unknown,
}

/// Makes a response about a certificate, valid until this time.
pub(crate) fn ocsp_response(issued: &Issued, says: Says, until: SystemTime) -> Vec<u8> {
    let der = issued.der();
    let (_, parsed) = X509Certificate::from_der(&der).expect("a certificate");
    let issuer = digest(&SHA256, parsed.issuer().as_raw());
    let since = moment(SystemTime::UNIX_EPOCH);
    let id = sequence(&[
        sequence(&[item(0x06, SHA256_OID)]),
        item(0x04, issuer.as_ref()),
        item(0x04, &[1; 32]),
        item(0x02, parsed.tbs_certificate.raw_serial()),
    ]);
    let status = match says {
        Says::Good => item(0x80, b""),
        Says::Revoked => item(0xa1, &since),
        Says::Unknown => item(0x82, b""),
    };
    let single = sequence(&[id, status, since.clone(), item(0xa0, &moment(until))]);
    let responder = item(0xa2, &item(0x04, &[2; 20]));
    let answer = sequence(&[responder, since, sequence(&[single])]);
    let signed = sequence(&[answer, sequence(&[]), item(0x03, &[0])]);
    let bytes = sequence(&[item(0x06, BASIC_OID), item(0x04, &signed)]);
    sequence(&[item(0x0a, &[0]), item(0xa0, &bytes)])
}

fn moment(time: SystemTime) -> Vec<u8> {
    let text = humantime::format_rfc3339_seconds(time).to_string();
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    item(0x18, format!("{digits}Z").as_bytes())
}

fn sequence(items: &[Vec<u8>]) -> Vec<u8> {
    item(0x30, &items.concat())
}

fn item(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = u16::try_from(content.len()).expect("a short item");
    let mut out = vec![tag];
    match u8::try_from(length) {
        Ok(short) if short < 128 => out.push(short),
        Ok(byte) => out.extend([0x81, byte]),
        Err(_) => {
            out.push(0x82);
            out.extend(length.to_be_bytes());
        }
    }
    out.extend_from_slice(content);
    out
}

const BASIC_OID: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01, 0x01];
const SHA256_OID: &[u8] = &[0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01];
