//! Configurations that targets ask.

use std::{path::Path, sync::Arc};

use sluicegate::config::{Faults, Rules, Secrets, parse};
use sluicegate::state::{
    BuildError, Lists, Registered, Registry, Snapshot, Source, TlsFiles, build,
};

/// Reads a text as one from a stranger: nothing that it names is read.
pub(crate) fn read(text: &str) -> Result<Result<Snapshot, BuildError>, Faults> {
    let rules = Rules {
        secrets: Secrets::Withheld,
        ..Rules::default()
    };
    let loaded = parse(text, Path::new("proxy.toml"), &rules)?;
    let registered = Registered::default();
    let source = Source {
        config: Arc::new(loaded.config),
        registered: &registered,
        last: None,
        files: TlsFiles::Left,
        lists: Lists::Left,
        generation: 1,
        now: tokio::time::Instant::now(),
    };
    Ok(build(&source, &mut Registry::new(1)))
}

/// Compiles a configuration that is right.
pub(crate) fn compiled(text: &str) -> Snapshot {
    let built = read(text).unwrap_or_else(|faults| panic!("{faults}"));
    built.expect("a configuration that can be compiled")
}

/// A table of routes of every kind, with two listeners.
pub(crate) const ROUTES: &str = r#"
    [listeners.plain]
    address = "127.0.0.1:8080"
    [listeners.other]
    address = "127.0.0.1:8081"
    [routes.all]
    pool = "app"
    [routes.host]
    hosts = ["shop.example", "*.shop.example"]
    pool = "app"
    [routes.exact]
    path = "/orders"
    pool = "app"
    [routes.prefix]
    path_prefix = "/orders/a"
    methods = ["GET", "PURGE"]
    pool = "app"
    [routes.regex]
    path_regex = "^/items/[0-9]+(/é)?$"
    priority = 3
    pool = "app"
    [routes.fields]
    path_prefix = "/"
    headers = { "x-tenant" = "acme", "x-beta" = { regex = "^(1|yes)$" }, "x-debug" = { present = true } }
    pool = "app"
    [routes.query]
    query = { lang = "de", "a b" = { present = true } }
    pool = "app"
    [routes.cookie]
    cookies = { beta = "1" }
    pool = "app"
    [routes.source]
    listeners = ["other"]
    source = ["192.0.2.0/24", "2001:db8::/32"]
    redirect = { to = "https://{host}{path}{query}", status = 308 }
    [pools.app]
    endpoints = ["127.0.0.1:9001", { address = "127.0.0.1:9002", weight = 3, version = "1.4.2" }]
"#;
