//! Our own configuration.

use std::{
    fmt::Write as _,
    fs, io,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
};

use super::{Elsewhere, Features, Labels, Place, Setup};
use crate::{login, message};

/// Writes it, and gives the arguments to start with.
pub(super) fn prepare(setup: &Setup, place: &Place<'_>) -> io::Result<Vec<String>> {
    let features = &setup.features;
    let endpoints = place.endpoints.iter().enumerate();
    let endpoints: Vec<String> = endpoints
        .map(|(at, address)| endpoint(*address, at, features.labels))
        .collect();
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
tls = {{ certificates = [{{ chain = "chain.pem", key = "key.pem" }}], minimum_version = "1.3"{tls} }}
{http3}

{tables}
[pools.app]
{picker}
endpoints = [{endpoints}]
timeouts = {{ idle = "300s" }}
{limits}
{pool}
"#,
        workers = setup.workers,
        proxy = features.proxy,
        http3 = if setup.http3 {
            r#"protocols = ["http/1.1", "h2", "h3"]"#
        } else {
            ""
        },
        plain = place.plain,
        secure = place.secure,
        tables = features.tables,
        pool = features.pool,
        picker = if features.pool.contains("picker") {
            ""
        } else {
            "picker = \"round_robin\""
        },
        limits = if features.pool.contains("limits") {
            ""
        } else {
            "limits = { connections = 20000 }"
        },
        tls = features.tls.unwrap_or_default(),
        endpoints = endpoints.join(", "),
    );
    let compress = setup.compress.map_or_else(String::new, |it| {
        let (word, level) = (it.coding.word(), it.level);
        format!("\ncompress = {{ encodings = [\"{word}\"], level = {level} }}")
    });
    let route = format!("{}{compress}", features.route);
    if setup.routes == 0 {
        let target = target(features.target, "app");
        let _ = write!(text, "\n[routes.all]\n{target}\n{route}\n");
    }
    if let Some(elsewhere) = features.elsewhere {
        push_elsewhere(&mut text, elsewhere, features.labels);
    }
    for at in 0..setup.routes {
        let (host, prefix) = (message::route_host(at), message::route_prefix(at));
        let _ = write!(
            text,
            "\n[routes.r{at}]\nhosts = [\"{host}\"]\npath_prefix = \"{prefix}\"\npool = \"app\"\n{route}\n"
        );
    }
    write(features, place, text)?;
    Ok(vec!["--config".to_owned(), "proxy.toml".to_owned()])
}

/// An endpoint as it stands in a list.
fn endpoint(address: SocketAddr, at: usize, labels: Labels) -> String {
    let label = match labels {
        Labels::None => return format!("\"{address}\""),
        Labels::Versions => format!("version = \"{}.0.0\"", at % 2 + 1),
        Labels::Zones => format!("zone = \"{}\"", ["a", "b"][at % 2]),
    };
    format!("{{ address = \"{address}\", {label} }}")
}

/// The line that says where a route leads.
fn target(written: &str, pool: &str) -> String {
    match written {
        "" => format!("pool = \"{pool}\""),
        written => written.to_owned(),
    }
}

const PROVIDER: &str = "$provider";
const NOBODY: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9));

/// Adds a route that gets no requests, with its pool.
fn push_elsewhere(text: &mut String, elsewhere: Elsewhere, labels: Labels) {
    let target = target(elsewhere.target, "elsewhere");
    let _ = write!(
        text,
        "\n[routes.elsewhere]\npath_prefix = \"/elsewhere\"\n{target}\n{}\n\
         \n[pools.elsewhere]\nendpoints = [{}]\n{}\n",
        elsewhere.route,
        endpoint(NOBODY, 0, labels),
        elsewhere.pool
    );
}

/// Writes the configuration, and the files that it names.
fn write(features: &Features, place: &Place<'_>, mut text: String) -> io::Result<()> {
    for (name, content) in &features.files {
        fs::write(place.folder.join(name), content)?;
    }
    if text.contains(PROVIDER) {
        text = text.replace(PROVIDER, &login::provider()?.to_string());
    }
    fs::write(place.folder.join("proxy.toml"), text)
}
