//! HAProxy, told the same.

use std::{fmt::Write as _, fs, io};

use super::{Place, Setup};
use crate::message;

/// Writes its configuration, and gives the arguments to start with.
pub(super) fn prepare(setup: &Setup, place: &Place<'_>) -> io::Result<Vec<String>> {
    let mut servers = String::new();
    for (at, endpoint) in place.endpoints.iter().enumerate() {
        let _ = writeln!(servers, "    server e{at} {endpoint}");
    }
    let mut map = String::new();
    for at in 0..setup.routes {
        let (host, prefix) = (message::route_host(at), message::route_prefix(at));
        let _ = writeln!(map, "{host}{prefix}/ app");
    }
    fs::write(place.folder.join("routes.map"), map)?;
    let choose = if setup.routes == 0 {
        "default_backend app"
    } else {
        "use_backend %[base,map_beg(routes.map)]"
    };
    let text = format!(
        "global
    nbthread {workers}
    maxconn 20000
    no strict-limits
    ssl-default-bind-options ssl-min-ver TLSv1.3

defaults
    mode http
    http-reuse always
    timeout connect 5s
    timeout client 300s
    timeout server 300s

frontend web
    bind {plain} backlog 4096
    bind {secure} backlog 4096 ssl crt both.pem alpn h2,http/1.1
    option forwardfor
    http-request set-header X-Forwarded-Proto %[ssl_fc,iif(https,http)]
    http-request add-header Via \"1.1 haproxy\"
    {choose}

backend app
    balance roundrobin
{servers}",
        workers = setup.workers,
        plain = place.plain,
        secure = place.secure,
    );
    fs::write(place.folder.join("haproxy.cfg"), text)?;
    Ok(["-db", "-f", "haproxy.cfg"].map(str::to_owned).to_vec())
}
