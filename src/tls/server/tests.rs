use tokio::time::Instant;

use super::*;
use crate::tls::certificate::tests::written;

fn settings(certificates: &[&KeyPair], ca: Option<&Path>) -> ServerSettings {
    ServerSettings {
        listener: "web".into(),
        certificates: certificates.iter().map(|files| (*files).clone()).collect(),
        acme: None,
        client_auth: ca.map(|ca| ClientAuth {
            crl: None,
            ca: ca.to_owned(),
            required: true,
        }),
        minimum: MinimumVersion::Tls12,
        http1: true,
        http2: true,
        http3: false,
    }
}

fn shown(tls: &ServerTls, index: usize) -> Arc<Certificate> {
    tls.certificates().swap_remove(index)
}

#[test]
fn a_bad_file_leaves_the_old_in_use() {
    let folder = tempfile::tempdir().unwrap();
    let files = written(folder.path(), "a", &["a.example"]);
    let keys = Arc::new(TicketKeys::new(Instant::now()));
    let tls = ServerTls::load(settings(&[&files], None), &keys).unwrap();
    let before = Arc::clone(&tls.current.load().config);
    std::fs::write(&files.key, "torn").unwrap();
    let renewal = tls.reload();
    assert_eq!((renewal.renewed.len(), renewal.faults.len()), (0, 1));
    assert!(Arc::ptr_eq(&before, &tls.current.load().config));
    assert_ne!(tls.stamps(), Stamps::of(&tls.files()));
    written(folder.path(), "a", &["a.example"]);
    let renewal = tls.reload();
    assert_eq!((renewal.renewed.len(), renewal.faults.len()), (1, 0));
    assert!(!Arc::ptr_eq(&before, &tls.current.load().config));
    assert_eq!(tls.stamps(), Stamps::of(&tls.files()));
}

#[test]
fn one_bad_file_does_not_hold_back_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let a = written(folder.path(), "a", &["a.example"]);
    let b = written(folder.path(), "b", &["b.example"]);
    let ca = folder.path().join("ca.pem");
    std::fs::copy(&a.chain, &ca).unwrap();
    let keys = Arc::new(TicketKeys::new(Instant::now()));
    let tls = ServerTls::load(settings(&[&a, &b], Some(&ca)), &keys).unwrap();
    let (old_a, old_b) = (shown(&tls, 0), shown(&tls, 1));

    std::fs::write(&a.key, "torn").unwrap();
    std::fs::write(&ca, "torn").unwrap();
    written(folder.path(), "b", &["b.example"]);
    let renewal = tls.reload();
    assert_eq!((renewal.renewed.len(), renewal.faults.len()), (1, 2));
    assert!(Arc::ptr_eq(&old_a, &shown(&tls, 0)));
    assert!(!Arc::ptr_eq(&old_b, &shown(&tls, 1)));
    assert_ne!(tls.stamps(), Stamps::of(&tls.files()));

    written(folder.path(), "a", &["a.example"]);
    std::fs::copy(&a.chain, &ca).unwrap();
    let renewal = tls.reload();
    assert_eq!((renewal.renewed.len(), renewal.faults.len()), (2, 0));
    assert_eq!(tls.stamps(), Stamps::of(&tls.files()));
}

#[test]
fn authorities_whose_lists_do_not_fit_are_not_taken_up() {
    let folder = tempfile::tempdir().unwrap();
    let a = written(folder.path(), "a", &["a.example"]);
    let [ca, crl] = ["ca.pem", "clients.crl"].map(|name| folder.path().join(name));
    let authority = || {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let pem = params.self_signed(&key).unwrap().pem();
        let list = rcgen::CertificateRevocationListParams {
            this_update: rcgen::date_time_ymd(2024, 1, 1),
            next_update: rcgen::date_time_ymd(2099, 1, 1),
            crl_number: rcgen::SerialNumber::from(1),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: rcgen::KeyIdMethod::Sha256,
        };
        let list = list.signed_by(&rcgen::Issuer::new(params, key)).unwrap();
        (pem, list.pem().unwrap())
    };
    let (old, new) = (authority(), authority());
    std::fs::write(&ca, &old.0).unwrap();
    std::fs::write(&crl, &old.1).unwrap();
    let mut settings = settings(&[&a], Some(&ca));
    settings.client_auth.as_mut().unwrap().crl = Some(crl.clone());
    let keys = Arc::new(TicketKeys::new(Instant::now()));
    let tls = ServerTls::load(settings, &keys).unwrap();

    // A renewed certificate is taken up all the same.
    written(folder.path(), "a", &["a.example"]);
    std::fs::write(&ca, &new.0).unwrap();
    let renewal = tls.reload();
    assert_eq!((renewal.renewed.len(), renewal.faults.len()), (1, 1));
    assert_ne!(tls.stamps(), Stamps::of(&tls.files()));
    // Both authorities have the name: the old list is enough for one of them.
    std::fs::write(&ca, [&*new.0, &old.0].concat()).unwrap();
    let renewal = tls.reload();
    assert_eq!((renewal.renewed.len(), renewal.faults.len()), (1, 0));
    assert_eq!(renewal.warnings.len(), 1, "{:?}", renewal.warnings);
    // A torn list does not hold back the authorities.
    std::fs::write(&ca, &old.0).unwrap();
    std::fs::write(&crl, "torn").unwrap();
    let renewal = tls.reload();
    assert_eq!((renewal.renewed.len(), renewal.faults.len()), (1, 1));
    std::fs::write(&ca, &new.0).unwrap();
    std::fs::write(&crl, &new.1).unwrap();
    let renewal = tls.reload();
    assert_eq!((renewal.renewed.len(), renewal.faults.len()), (2, 0));
    assert_eq!(tls.stamps(), Stamps::of(&tls.files()));
}

#[cfg(feature = "http3")]
#[test]
fn a_ticket_is_good_over_tcp_or_over_quic_and_not_over_both() {
    let folder = tempfile::tempdir().unwrap();
    let files = written(folder.path(), "a", &["a.example"]);
    let keys = Arc::new(TicketKeys::new(Instant::now()));
    let settings = ServerSettings {
        http3: true,
        ..settings(&[&files], None)
    };
    let tls = ServerTls::load(settings, &keys).unwrap();
    let current = tls.current.load();
    let quic = &current.quic.as_ref().unwrap().config;
    let [over_tcp, over_quic] = [&current.config, quic].map(|config| &config.ticketer);
    for (own, other) in [(over_tcp, over_quic), (over_quic, over_tcp)] {
        let ticket = own.encrypt(b"session").unwrap();
        assert_eq!(own.decrypt(&ticket).as_deref(), Some(&b"session"[..]));
        assert_eq!(other.decrypt(&ticket), None);
    }
    assert_eq!(quic.max_early_data_size, 0);
}
