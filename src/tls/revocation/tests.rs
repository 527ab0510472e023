use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CrlDistributionPoint,
    CrlIssuingDistributionPoint, CrlScope, DnType, IsCa, Issuer, KeyIdMethod, KeyPair,
    RevokedCertParams, SerialNumber, date_time_ymd,
};
use rustls::{CertificateError, Error};
use rustls_pki_types::UnixTime;

use super::*;

/// An authority with clients, and a folder for the files.
struct Ca {
    issuer: Issuer<'static, KeyPair>,
    pem: String,
    folder: tempfile::TempDir,
}

#[derive(Clone, Copy)]
struct Wanted<'a> {
    number: u64,
    revoked: Option<u64>,
    scope: Option<CrlScope>,
    uri: Option<&'a str>,
}

const PLAIN: Wanted<'_> = Wanted {
    number: 1,
    revoked: None,
    scope: None,
    uri: None,
};

impl Ca {
    fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::default();
        params
            .distinguished_name
            .push(DnType::CommonName, "clients");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        Self {
            issuer: Issuer::new(params, key),
            pem,
            folder: tempfile::tempdir().unwrap(),
        }
    }

    fn client(&self, serial: u64, uri: Option<&str>) -> CertificateDer<'static> {
        let mut params = CertificateParams::default();
        params.serial_number = Some(SerialNumber::from(serial));
        params.crl_distribution_points = uri.into_iter().map(point).collect();
        let key = KeyPair::generate().unwrap();
        let made = params.signed_by(&key, &self.issuer).unwrap();
        made.der().clone()
    }

    fn list(&self, wanted: Wanted<'_>) -> String {
        let limited = wanted.uri.map(|uri| CrlIssuingDistributionPoint {
            distribution_point: point(uri),
            scope: wanted.scope,
        });
        let start = date_time_ymd(2024, 1, 1);
        let revoked = wanted.revoked.into_iter().map(|serial| RevokedCertParams {
            serial_number: SerialNumber::from(serial),
            revocation_time: start,
            reason_code: None,
            invalidity_date: None,
        });
        let params = CertificateRevocationListParams {
            this_update: start,
            next_update: date_time_ymd(2099, 1, 1),
            crl_number: SerialNumber::from(wanted.number),
            issuing_distribution_point: limited,
            revoked_certs: revoked.collect(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        params.signed_by(&self.issuer).unwrap().pem().unwrap()
    }

    fn authorities(&self) -> Authorities {
        let path = self.folder.path().join("ca.pem");
        std::fs::write(&path, &self.pem).unwrap();
        Authorities::load(&path).unwrap()
    }

    fn lists(&self, lists: &[String]) -> Result<RevocationLists, TlsFault> {
        let path = self.folder.path().join("clients.crl");
        std::fs::write(&path, lists.concat()).unwrap();
        RevocationLists::load(&path, Some(&self.authorities()))
    }

    fn verify(&self, lists: &[String], client: &CertificateDer<'_>) -> Result<(), Error> {
        let lists = Arc::new(self.lists(lists).unwrap());
        let verifier = self
            .authorities()
            .of_clients(Path::new("ca.pem"), true, Some(&lists));
        let verifier = verifier.unwrap();
        let verified = verifier.verify_client_cert(client, &[], UnixTime::now());
        verified.map(|_| ())
    }
}

fn point(uri: &str) -> CrlDistributionPoint {
    CrlDistributionPoint {
        uris: vec![uri.to_owned()],
    }
}

fn revoked() -> Result<(), Error> {
    Err(CertificateError::Revoked.into())
}

fn unlisted() -> Result<(), Error> {
    Err(CertificateError::UnknownRevocationStatus.into())
}

#[test]
fn numbers_are_compared_as_numbers() {
    let ca = Ca::new();
    let client = ca.client(1001, None);
    let lists = [255, 256].map(|number| {
        ca.list(Wanted {
            number,
            revoked: (number == 256).then_some(1001),
            ..PLAIN
        })
    });
    let [old, new] = lists;
    for both in [[old.clone(), new.clone()], [new, old]] {
        assert_eq!(ca.verify(&both, &client), revoked());
        let lists = ca.lists(&both).unwrap();
        let used: Vec<_> = lists.in_use().filter_map(|it| it.number).collect();
        assert_eq!(used, ["256"]);
        assert_eq!(lists.warnings.len(), 1, "{:?}", lists.warnings);
    }
}

#[test]
fn a_list_for_other_certificates_does_not_count() {
    let ca = Ca::new();
    let client = ca.client(1001, None);
    let of = |scope, number, revoked| {
        ca.list(Wanted {
            number,
            revoked,
            scope: Some(scope),
            uri: Some("http://a.example/crl"),
        })
    };
    let of_authorities = of(CrlScope::CaCertsOnly, 9, None);
    let alone = std::slice::from_ref(&of_authorities);
    assert_eq!(ca.verify(alone, &client), unlisted());
    let of_users = of(CrlScope::UserCertsOnly, 1, Some(1001));
    let both = [of_authorities, of_users];
    assert_eq!(
        ca.verify(&both, &client),
        revoked(),
        "though its number is lower"
    );
    assert_eq!(ca.lists(&both).unwrap().in_use().count(), 2);
    assert_eq!(ca.verify(&both, &ca.client(1002, None)), Ok(()));
}

#[test]
fn the_parts_of_a_list_are_told_apart_by_their_places() {
    let ca = Ca::new();
    let part = |uri, number, revoked| {
        ca.list(Wanted {
            number,
            revoked,
            scope: None,
            uri: Some(uri),
        })
    };
    let (one, two) = ("http://a.example/1", "http://a.example/2");
    let both = [part(one, 5, Some(1001)), part(two, 6, Some(1002))];
    assert_eq!(ca.verify(&both, &ca.client(1001, Some(one))), revoked());
    assert_eq!(ca.verify(&both, &ca.client(1002, Some(one))), Ok(()));
    assert_eq!(ca.verify(&both, &ca.client(1002, Some(two))), revoked());
    assert_eq!(
        ca.verify(&both, &ca.client(1003, Some("http://b.example/"))),
        unlisted()
    );
    // One that names no place is held to all parts.
    assert_eq!(ca.verify(&both, &ca.client(1002, None)), revoked());
}

#[test]
fn lists_are_fitted_to_other_authorities() {
    let (ca, other) = (Ca::new(), Ca::new());
    let lists = ca.lists(&[ca.list(PLAIN)]).unwrap();
    assert!(lists.refit(&ca.authorities()).is_ok());
    let fault = lists.refit(&other.authorities()).unwrap_err();
    let signed = ListFault::OtherKey("CN=clients,CN=rcgen self signed cert".to_owned());
    let TlsFault::RevocationList { line, fault, .. } = fault else {
        panic!("{fault}");
    };
    assert_eq!(
        (line, std::mem::discriminant(&fault)),
        (1, std::mem::discriminant(&signed))
    );
    // A list too many of another key does not keep out the right one.
    let both = ca.lists(&[other.list(PLAIN), ca.list(PLAIN)]).unwrap();
    assert_eq!((both.in_use().count(), both.warnings.len()), (1, 1));
}

#[test]
fn a_list_is_told_by_its_line() {
    let ca = Ca::new();
    let good = ca.list(PLAIN);
    let torn = "-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n".to_owned();
    let line = good.lines().count() + 1;
    let fault = ca.lists(&[good, torn]).unwrap_err().to_string();
    let expected = format!("clients.crl line {line}: this is not a revocation list");
    assert!(fault.ends_with(&expected), "{fault}");
}
