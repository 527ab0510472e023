//! nginx, told the same.

use std::{fmt::Write as _, fs, io};

use super::{Place, Setup};
use crate::message;

/// Writes its configuration, and gives the arguments to start with.
pub(super) fn prepare(setup: &Setup, place: &Place<'_>) -> io::Result<Vec<String>> {
    let mut upstream = String::new();
    for endpoint in &place.endpoints {
        let _ = writeln!(upstream, "server {endpoint};");
    }
    let mut servers = String::new();
    for at in 0..setup.routes {
        let (host, prefix) = (message::route_host(at), message::route_prefix(at));
        let _ = writeln!(
            servers,
            "server {{ listen {}; server_name {host}; location {prefix}/ {{ proxy_pass http://app; }} }}",
            place.plain
        );
    }
    let compress = setup.compress.map_or_else(String::new, |it| {
        let level = it.level;
        format!("gzip on; gzip_comp_level {level}; gzip_types application/json; gzip_proxied any;")
    });
    let text = format!(
        "daemon off; pid nginx.pid; error_log stderr crit;
user {user};
worker_processes {workers};
events {{ worker_connections 32768; }}
http {{
    access_log off;
    client_body_temp_path bodies; proxy_temp_path answers;
    fastcgi_temp_path f; uwsgi_temp_path u; scgi_temp_path s;
    client_max_body_size 0;
    {compress}
    server_names_hash_max_size 65536;
    server_names_hash_bucket_size 128;
    keepalive_timeout 300s;
    keepalive_requests 1000000000;
    large_client_header_buffers 8 32k;
    ssl_certificate chain.pem; ssl_certificate_key key.pem; ssl_protocols TLSv1.3;

    proxy_http_version 1.1;
    proxy_request_buffering off;
    proxy_max_temp_file_size 0;
    proxy_set_header Host $host;
    proxy_set_header Connection \"\";
    proxy_set_header Via \"1.1 nginx\";
    proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
    proxy_set_header X-Forwarded-Proto $scheme;

    upstream app {{
        {upstream}
        keepalive 20000; keepalive_timeout 300s; keepalive_requests 1000000000;
    }}
    server {{
        listen {plain} default_server backlog=4096;
        listen {secure} ssl http2 default_server backlog=4096;
        location / {{ {otherwise} }}
    }}
    {servers}
}}
",
        user = std::env::var("USER").unwrap_or_else(|_| "root".to_owned()),
        workers = setup.workers,
        plain = place.plain,
        secure = place.secure,
        otherwise = if setup.routes == 0 {
            "proxy_pass http://app;"
        } else {
            "return 404;"
        },
    );
    fs::write(place.folder.join("nginx.conf"), text)?;
    let folder = format!("{}/", place.folder.display());
    Ok(["-p", &folder, "-c", "nginx.conf"]
        .map(str::to_owned)
        .to_vec())
}
