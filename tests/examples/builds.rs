//! Loads a configuration as `check` does, and builds what a start would build of it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use sluicegate::{
    config::{self, Loaded, Rules, Secrets},
    state::{self, Registered, Registry, Source},
    upstream::picker::RoundRobin,
};
use tokio::time::Instant;

use super::root;

/// Loads and builds the text in a folder that has the certificates which it names.
pub(super) fn builds(folder: &Path, name: &str, text: &str) {
    let loaded = loads(folder, name, text);
    let mut registered = Registered::default();
    let factory = |seed| Box::new(RoundRobin::new(seed)) as _;
    registered.pickers.register("fill_first", factory);
    let source = Source {
        config: Arc::new(loaded.config),
        registered: &registered,
        last: None,
        files: state::TlsFiles::Read,
        lists: state::Lists::Read,
        generation: 1,
        now: Instant::now(),
    };
    let built = state::build(&source, &mut Registry::new(1));
    let snapshot = built.unwrap_or_else(|error| panic!("{name}: {error}"));
    assert!(!snapshot.routes.is_empty());
}

/// Loads the text as [`builds`] does.
pub(super) fn loads(folder: &Path, name: &str, text: &str) -> Loaded {
    put_certificates(folder, text);
    // A file for the patterns of `include`.
    fs::create_dir_all(folder.join("conf.d")).unwrap();
    fs::write(folder.join("conf.d/none.toml"), "").unwrap();
    let file = folder.join("proxy.toml");
    fs::write(&file, text).unwrap();
    let rules = Rules {
        pickers: &["fill_first"],
        secrets: Secrets::Excused,
        ..Rules::default()
    };
    let loaded = config::load(&file, &rules).unwrap_or_else(|faults| panic!("{name}:\n{faults}"));
    assert!(loaded.warnings.is_empty(), "{name}:\n{}", loaded.warnings);
    loaded
}

/// Puts a certificate, a key or an OCSP response wherever the text names one.
fn put_certificates(folder: &Path, text: &str) {
    let kept = root().join("tests/config/tls");
    for path in text.split('"').skip(1).step_by(2) {
        let Some((_, extension)) = path.rsplit_once('.') else {
            continue;
        };
        let stand_in = match extension {
            "pem" => "shop.pem",
            "key" => "shop.key",
            "ocsp" => "shop.ocsp",
            _ => continue,
        };
        let to = folder.join(path);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(kept.join(stand_in), to).unwrap();
    }
}
