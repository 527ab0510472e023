//! Our own configuration.

use std::{fmt::Write as _, fs, io};

use super::{Place, Setup};
use crate::message;

/// Writes it, and gives the arguments to start with.
pub(super) fn prepare(setup: &Setup, place: &Place<'_>) -> io::Result<Vec<String>> {
    let features = setup.features;
    let mut text = format!(
        r#"[proxy]
workers = {workers}
{proxy}

[admin]
address = "unix:admin.sock"

[listeners.plain]
address = "{plain}"
timeouts = {{ idle = "300s" }}

[listeners.secure]
address = "{secure}"
timeouts = {{ idle = "300s" }}
tls = {{ certificates = [{{ chain = "chain.pem", key = "key.pem" }}], minimum_version = "1.3" }}

{tables}
[pools.app]
{picker}
endpoints = {endpoints:?}
timeouts = {{ idle = "300s" }}
limits = {{ connections = 20000 }}
{pool}
"#,
        workers = setup.workers,
        proxy = features.proxy,
        plain = place.plain,
        secure = place.secure,
        tables = features.tables,
        pool = features.pool,
        picker = if features.pool.contains("picker") {
            ""
        } else {
            "picker = \"round_robin\""
        },
        endpoints = place
            .endpoints
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
    );
    let compress = setup.compress.map_or_else(String::new, |it| {
        let (word, level) = (it.coding.word(), it.level);
        format!("\ncompress = {{ encodings = [\"{word}\"], level = {level} }}")
    });
    let route = format!("{}{compress}", features.route);
    if setup.routes == 0 {
        let _ = write!(text, "\n[routes.all]\npool = \"app\"\n{route}\n");
    }
    if let Some(elsewhere) = features.elsewhere {
        let _ = write!(
            text,
            "\n[routes.elsewhere]\npath_prefix = \"/elsewhere\"\npool = \"elsewhere\"\n{}\n\
             \n[pools.elsewhere]\nendpoints = [\"127.0.0.1:9\"]\n{}\n",
            elsewhere.route, elsewhere.pool
        );
    }
    for at in 0..setup.routes {
        let (host, prefix) = (message::route_host(at), message::route_prefix(at));
        let _ = write!(
            text,
            "\n[routes.r{at}]\nhosts = [\"{host}\"]\npath_prefix = \"{prefix}\"\npool = \"app\"\n{route}\n"
        );
    }
    fs::write(place.folder.join("proxy.toml"), text)?;
    Ok(vec!["--config".to_owned(), "proxy.toml".to_owned()])
}
