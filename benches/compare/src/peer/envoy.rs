//! Envoy, told the same.

use std::{fmt::Write as _, fs, io, net::SocketAddr};

use super::{Coding, Compress, Place, Setup};
use crate::message;

/// Writes its configuration, and gives the arguments to start with.
pub(super) fn prepare(setup: &Setup, place: &Place<'_>) -> io::Result<Vec<String>> {
    let manager = manager(setup);
    let endpoints: Vec<String> = place
        .endpoints
        .iter()
        .map(|endpoint| format!("{{endpoint: {{{}}}}}", address(*endpoint)))
        .collect();
    let text = format!(
        "static_resources:
  listeners:
  - name: plain
    {plain}
    tcp_backlog_size: 4096
    filter_chains:
    - filters:
      - {manager}
  - name: secure
    {secure}
    tcp_backlog_size: 4096
    filter_chains:
    - filters:
      - {manager}
      transport_socket:
        name: tls
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            alpn_protocols: [h2, http/1.1]
            tls_params: {{tls_minimum_protocol_version: TLSv1_3}}
            tls_certificates: [{{certificate_chain: {{filename: chain.pem}}, private_key: {{filename: key.pem}}}}]
  clusters:
  - name: app
    type: STATIC
    lb_policy: ROUND_ROBIN
    circuit_breakers: {{thresholds: [{{max_connections: 100000, max_pending_requests: 100000, max_requests: 100000}}]}}
    load_assignment: {{cluster_name: app, endpoints: [{{lb_endpoints: [{endpoints}]}}]}}
",
        plain = address(place.plain),
        secure = address(place.secure),
        endpoints = endpoints.join(", "),
    );
    fs::write(place.folder.join("envoy.yaml"), text)?;
    let workers = setup.workers.to_string();
    let words = [
        "-c",
        "envoy.yaml",
        "--concurrency",
        &workers,
        "--disable-hot-restart",
        "--log-level",
        "error",
    ];
    Ok(words.map(str::to_owned).to_vec())
}

/// What takes requests, the same on both listeners.
fn manager(setup: &Setup) -> String {
    let mut hosts = String::new();
    if setup.routes == 0 {
        hosts.push_str("{name: all, domains: ['*'], routes: [{match: {prefix: /}, route: {cluster: app, timeout: 0s}}]}");
    }
    for at in 0..setup.routes {
        let (host, prefix) = (message::route_host(at), message::route_prefix(at));
        let _ = write!(
            hosts,
            "{{name: r{at}, domains: ['{host}'], routes: [{{match: {{prefix: {prefix}/}}, route: {{cluster: app, timeout: 0s}}}}]}},\n      "
        );
    }
    let compress = compressor(setup.compress);
    format!(
        "name: http
        typed_config:
          '@type': type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: web
          use_remote_address: true
          generate_request_id: false
          via: 1.1 envoy
          server_header_transformation: PASS_THROUGH
          http_filters:
{compress}          - name: router
            typed_config:
              '@type': type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
              suppress_envoy_headers: true
              dynamic_stats: false
          route_config:
            virtual_hosts: [{hosts}]"
    )
}

/// The filter that compresses, with its line end; empty without.
fn compressor(compress: Option<Compress>) -> String {
    let Some(Compress { coding, level }) = compress else {
        return String::new();
    };
    let (library, how) = match coding {
        Coding::Gzip => (
            "gzip.compressor.v3.Gzip",
            // Window and memory as zlib has them; by default Envoy takes less of both.
            format!(
                "compression_level: COMPRESSION_LEVEL_{level}\n{INDENT}window_bits: 15\n{INDENT}memory_level: 8"
            ),
        ),
        Coding::Brotli => ("brotli.compressor.v3.Brotli", format!("quality: {level}")),
        Coding::Zstd => (
            "zstd.compressor.v3.Zstd",
            format!("compression_level: {level}"),
        ),
    };
    format!(
        "          - name: compressor
            typed_config:
              '@type': type.googleapis.com/envoy.extensions.filters.http.compressor.v3.Compressor
              response_direction_config: {{common_config: {{content_type: [application/json]}}}}
              compressor_library:
                name: library
                typed_config:
                  '@type': type.googleapis.com/envoy.extensions.compression.{library}
                  {how}
"
    )
}

/// Place of the settings of a compressor.
const INDENT: &str = "                  ";

fn address(address: SocketAddr) -> String {
    let (ip, port) = (address.ip(), address.port());
    format!("address: {{socket_address: {{address: {ip}, port_value: {port}}}}}")
}
