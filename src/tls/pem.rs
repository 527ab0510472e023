//! Certificates and keys in PEM (RFC 7468), read completely or not at all.
//!
//! The library skips sections that it does not recognise, so that one with a damaged first line
//! would be lost silently. Therefore each section must begin a line.

use std::{iter, path::Path};

use memchr::memmem;
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer,
    pem::{self, PemObject as _},
};

use super::{
    TlsFault,
    file::{read, read_at_most},
};

/// Reads the certificates of a file, the end entity's first; blocks on the disk.
pub(super) fn chain(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let bytes = read(path)?;
    check_sections(path, &bytes)?;
    let sections: Result<Vec<_>, pem::Error> = CertificateDer::pem_slice_iter(&bytes).collect();
    let chain = sections.map_err(|error| malformed(path, reason(&error)))?;
    if chain.is_empty() {
        return Err(TlsFault::Empty {
            path: path.to_owned(),
            what: "certificate",
        });
    }
    Ok(chain)
}

/// Reads the revocation lists of a file, each with the line where it begins; blocks on the disk.
pub(super) fn revocation_lists(
    path: &Path,
) -> Result<Vec<(usize, CertificateRevocationListDer<'static>)>, TlsFault> {
    let bytes = read_at_most(path, REVOCATION_BYTES_MAX)?;
    check_sections(path, &bytes)?;
    let sections = CertificateRevocationListDer::pem_slice_iter(&bytes);
    let sections: Result<Vec<_>, pem::Error> = sections.collect();
    let lists = sections.map_err(|error| malformed(path, reason(&error)))?;
    if !lists.is_empty() {
        let lines = bytes.split(|byte| *byte == b'\n').zip(1..);
        let lines = lines.filter(|(line, _)| line.starts_with(BEGIN_LIST));
        let lines = lines.map(|(_, number)| number).chain(iter::repeat(1));
        return Ok(lines.zip(lists).collect());
    }
    if bytes.first() == Some(&DER_SEQUENCE) {
        let reason = "it is DER; `openssl crl -inform der -in FILE -out NEW` writes PEM".to_owned();
        return Err(malformed(path, reason));
    }
    Err(TlsFault::Empty {
        path: path.to_owned(),
        what: "revocation list",
    })
}

/// Reads the first private key of a file; blocks on the disk.
pub(super) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsFault> {
    let bytes = read(path)?;
    check_sections(path, &bytes)?;
    let encrypted = ENCRYPTED
        .iter()
        .any(|mark| memmem::find(&bytes, mark).is_some());
    PrivateKeyDer::from_pem_slice(&bytes).map_err(|error| match error {
        _ if encrypted => TlsFault::Encrypted {
            path: path.to_owned(),
        },
        pem::Error::NoItemsFound => TlsFault::Empty {
            path: path.to_owned(),
            what: "private key",
        },
        error => malformed(path, reason(&error)),
    })
}

/// Refuses sections that the library would skip: those that do not begin a line, and certificates
/// in a form of OpenSSL's own.
fn check_sections(path: &Path, bytes: &[u8]) -> Result<(), TlsFault> {
    for at in memmem::find_iter(bytes, BEGIN) {
        let (before, section) = (&bytes[..at], &bytes[at + BEGIN.len()..]);
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        if before.ends_with(BYTE_ORDER_MARK) {
            let reason = format!(
                "line {line}: a byte order mark stands before a section; save the file without it"
            );
            return Err(malformed(path, reason));
        }
        if !matches!(before.last(), None | Some(b'\n' | b'\r')) && is_meant(section) {
            let reason = format!(
                "line {line}: a section begins in the middle of the line; a line break is missing \
                 before it"
            );
            return Err(malformed(path, reason));
        }
        if OPENSSL_ONLY.iter().any(|label| section.starts_with(label)) {
            let reason = format!(
                "line {line}: a certificate in a form of OpenSSL's own; `openssl x509 -in FILE` \
                 prints the usual one"
            );
            return Err(malformed(path, reason));
        }
    }
    Ok(())
}

/// Returns true if this begins a section of a certificate, key or revocation list, and is not prose about one.
fn is_meant(section: &[u8]) -> bool {
    let label = memmem::find(section, b"-----").map(|end| &section[..end]);
    label.is_some_and(|label| {
        label.ends_with(b"CERTIFICATE")
            || label.ends_with(b"PRIVATE KEY")
            || label.ends_with(b"CRL")
    })
}

/// Describes the fault in words: the library shows bytes as a list of numbers.
fn reason(error: &pem::Error) -> String {
    match error {
        pem::Error::MissingSectionEnd { end_marker } => {
            let label = String::from_utf8_lossy(end_marker);
            let label = label.trim_matches('-').trim_start_matches("END ");
            format!("it ends before the line \"-----END {label}-----\"; it is cut short")
        }
        // The line itself may be a part of a key.
        pem::Error::IllegalSectionStart { .. } => {
            "a line that begins a section does not end in \"-----\"".to_owned()
        }
        error => error.to_string(),
    }
}

fn malformed(path: &Path, reason: String) -> TlsFault {
    TlsFault::Malformed {
        path: path.to_owned(),
        reason,
    }
}

/// Maximum size of a file of revocation lists: those of public authorities have some megabytes.
const REVOCATION_BYTES_MAX: u64 = 32 << 20;
/// First byte of a list in DER (X.690 section 8.9).
const DER_SEQUENCE: u8 = 0x30;
const BEGIN: &[u8] = b"-----BEGIN ";
const BEGIN_LIST: &[u8] = b"-----BEGIN X509 CRL-----";
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
/// Forms other than `CERTIFICATE`, which only OpenSSL reads.
const OPENSSL_ONLY: [&[u8]; 2] = [b"TRUSTED CERTIFICATE-----", b"X509 CERTIFICATE-----"];
/// PKCS #8 (RFC 5958 section 3), and the header of older keys (RFC 1421 section 4.6.1.1).
const ENCRYPTED: [&[u8]; 2] = [
    b"-----BEGIN ENCRYPTED PRIVATE KEY-----",
    b"Proc-Type: 4,ENCRYPTED",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.pem");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    fn certificate() -> String {
        let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        made.cert.pem().trim_end().to_owned()
    }

    #[test]
    fn a_file_without_the_section_says_what_is_missing() {
        let (_folder, path) = file(b"nothing here");
        let fault = chain(&path).unwrap_err().to_string();
        assert!(fault.ends_with("a.pem has no certificate"), "{fault}");
        let fault = key(&path).unwrap_err().to_string();
        assert!(fault.ends_with("has no private key"), "{fault}");
        std::fs::write(&path, "-----BEGIN CERTIFICATE-----\n!!\n").unwrap();
        let fault = chain(&path).unwrap_err();
        assert!(matches!(fault, TlsFault::Malformed { .. }), "{fault}");
        let fault = chain(&path.with_extension("none")).unwrap_err();
        assert!(matches!(fault, TlsFault::Unreadable { .. }), "{fault}");
    }

    #[test]
    fn a_torn_file_is_told_in_words() {
        let whole = certificate();
        let (_folder, path) = file(&whole.as_bytes()[..whole.len() / 2]);
        let fault = chain(&path).unwrap_err().to_string();
        assert!(
            fault.ends_with(
                "it ends before the line \"-----END CERTIFICATE-----\"; it is cut short"
            ),
            "{fault}"
        );
        std::fs::write(&path, "-----BEGIN CERTIFICATE\nMIIB\n").unwrap();
        let fault = chain(&path).unwrap_err().to_string();
        assert!(
            fault.contains("does not end in \"-----\"") && !fault.contains('['),
            "{fault}"
        );
    }

    #[test]
    fn no_section_is_lost_between_others() {
        let (one, two) = (certificate(), certificate());
        let (_folder, path) = file(format!("# both\r\n{one}\r\n{two}\n").as_bytes());
        assert_eq!(chain(&path).unwrap().len(), 2);
        for (text, said) in [
            (format!("{one}{two}\n"), "a line break is missing"),
            (format!("{one}\n  {two}\n"), "a line break is missing"),
            (format!("{one}\n\u{feff}{two}\n"), "byte order mark"),
            (format!("\u{feff}{one}\n{two}\n"), "byte order mark"),
            (
                format!("{one}\n{}", two.replace(" CERT", " TRUSTED CERT")),
                "of OpenSSL's own",
            ),
        ] {
            std::fs::write(&path, &text).unwrap();
            let fault = chain(&path).unwrap_err().to_string();
            assert!(fault.contains(said), "{fault}");
        }
    }

    #[test]
    fn a_key_with_a_password_is_told_as_such() {
        let modern =
            "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let older = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,AA\n\nMIIB\n-----END EC PRIVATE KEY-----\n";
        for text in [modern, older] {
            let (_folder, path) = file(text.as_bytes());
            let fault = key(&path).unwrap_err();
            assert!(matches!(fault, TlsFault::Encrypted { .. }), "{fault}");
        }
    }
}
