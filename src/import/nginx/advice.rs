//! Advice about directives that have no key of their own here.

use super::{constant::CONSTANT, guard};

/// Needs of a directive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Advice {
    /// Nothing, for this reason.
    Needless(&'static str),
    /// Something else, such as this.
    Instead(&'static str),
    /// Something else, such as this. It keeps clients out: what it is in force for is closed.
    Closes(&'static str),
}

/// Returns what to do about a directive that was not translated.
#[expect(clippy::too_many_lines, reason = "a table")]
pub(super) fn advice(name: &str) -> Advice {
    use Advice::{Closes, Instead, Needless};
    match name {
        "user"
        | "pid"
        | "daemon"
        | "master_process"
        | "load_module"
        | "lock_file"
        | "worker_priority"
        | "worker_cpu_affinity"
        | "pcre_jit"
        | "thread_pool"
        | "worker_aio_requests"
        | "worker_rlimit_core"
        | "working_directory"
        | "timer_resolution" => {
            Needless("it is about the process; a service manager starts and stops it")
        }
        "events"
        | "worker_connections"
        | "multi_accept"
        | "use"
        | "accept_mutex"
        | "accept_mutex_delay"
        | "worker_rlimit_nofile" => Needless(
            "the limit of descriptors is raised by itself; limits.connections bounds clients",
        ),
        "sendfile"
        | "tcp_nopush"
        | "tcp_nodelay"
        | "sendfile_max_chunk"
        | "aio"
        | "directio"
        | "reset_timedout_connection"
        | "open_file_cache"
        | "open_file_cache_valid"
        | "open_file_cache_min_uses"
        | "open_file_cache_errors"
        | "msie_padding"
        | "etag"
        | "if_modified_since"
        | "output_buffers"
        | "postpone_output"
        | "connection_pool_size"
        | "request_pool_size"
        | "client_header_buffer_size" => Needless("there is nothing to tune"),
        "server_tokens" | "more_clear_headers" => Needless("no version is told"),
        "types" | "default_type" | "charset" | "charset_types" | "include" => {
            Needless("the services say the types of their answers")
        }
        "proxy_http_version" | "keepalive" | "keepalive_time" => {
            Needless("connections to endpoints are HTTP/1.1 and kept")
        }
        "proxy_buffering"
        | "proxy_request_buffering"
        | "proxy_buffers"
        | "proxy_buffer_size"
        | "proxy_busy_buffers_size"
        | "proxy_max_temp_file_size"
        | "proxy_temp_path"
        | "proxy_temp_file_write_size"
        | "client_body_buffer_size"
        | "client_body_temp_path"
        | "client_body_in_file_only"
        | "client_body_in_single_buffer"
        | "grpc_buffer_size"
        | "proxy_socket_keepalive" => {
            Needless("bodies stream with back-pressure, nothing is written to disk")
        }
        "proxy_redirect" => Instead(
            "Location passes as the service wrote it; the service sees the host and scheme of its client in X-Forwarded-Host and -Proto, and Host with the default",
        ),
        "resolver" | "resolver_timeout" => {
            Needless("names are looked up again by their time to live, with the system's servers")
        }
        "http2" | "http2_push_preload" | "http2_max_concurrent_streams" => {
            Needless("HTTP/2 is on; limits.streams bounds it")
        }
        "http3" => Needless(
            "no listen of this server says quic; \"h3\" in protocols of the listener turns HTTP/3 on",
        ),
        name if name.starts_with("quic_") || name.starts_with("http3_") => {
            Needless("there is nothing to tune; limits.streams bounds HTTP/3, too")
        }
        "ssl_ciphers"
        | "ssl_prefer_server_ciphers"
        | "ssl_dhparam"
        | "ssl_ecdh_curve"
        | "ssl_session_cache"
        | "ssl_session_timeout"
        | "ssl_session_tickets"
        | "ssl_session_ticket_key"
        | "ssl_buffer_size"
        | "ssl_early_data"
        | "ssl_conf_command" => Needless("only safe ciphers are offered, and sessions are resumed"),
        "ssl" | "ssl_trusted_certificate" | "ssl_verify_depth" => Needless("the table tls says it"),
        "ssl_stapling" | "ssl_stapling_verify" | "ssl_stapling_responder" => {
            Instead("ocsp = \"FILE\" beside the certificate staples a response from a file")
        }
        "ssl_crl" => {
            Closes("tls = { client_ca = \"ca.pem\", client_crl = \"FILE\" } of the listener")
        }
        "ssl_ocsp" => Closes(
            "responders are not asked about certificates of clients: a timer that writes their list to the file of client_crl does it",
        ),
        "ssl_verify_client" => {
            Closes("tls = { client_ca = \"ca.pem\", client_auth = \"required\" } of the listener")
        }
        "ssl_password_file" => Instead("no equal; keys must not be encrypted"),
        "error_log" => Needless("[log] writes to standard error; level = \"info\" is the default"),
        "log_format" | "open_log_file_cache" | "log_not_found" | "log_subrequest" => {
            Needless("it is used by no access_log")
        }
        "gzip_vary" | "gzip_proxied" | "gzip_http_version" | "gzip_disable" | "gzip_buffers"
        | "gzip_static" | "gunzip" => {
            Needless("Vary is always sent, and compression is up to the client")
        }
        "limit_req_status" | "limit_conn_status" => {
            Needless("429 for the rate, 503 for the number")
        }
        "limit_req_log_level"
        | "limit_conn_log_level"
        | "limit_req_zone"
        | "limit_conn_zone"
        | "proxy_cache_path"
        | "upstream"
        | "map" => Needless("it is used by no route"),
        "limit_rate" | "limit_rate_after" => Instead("no equal: bandwidth is not limited"),
        "limit_req_dry_run" => Instead("dry_run = true in rate_limit"),
        "root" | "alias" | "index" | "autoindex" | "try_files" | "expires" | "dav_methods"
        | "random_index" => Instead(
            "no files are served here: run a file server behind the proxy and name it as a pool",
        ),
        "fastcgi_pass" | "uwsgi_pass" | "scgi_pass" | "memcached_pass" => Instead(
            "only HTTP is spoken to endpoints: put a server that speaks HTTP before the application and name it as a pool",
        ),
        "stub_status" => Instead("[admin] has /metrics and /status"),
        "mirror" | "mirror_request_body" => Instead("shadow = { pool = \"…\" } of the route"),
        "split_clients" => Instead("split = { a = 90, b = 10 } of the route"),
        "geo" => Instead("source = [\"10.0.0.0/8\"] of a route, or access"),
        "sub_filter" | "sub_filter_once" | "sub_filter_types" | "addition_types"
        | "add_before_body" | "add_after_body" | "xslt_stylesheet" | "image_filter" => {
            Instead("bodies are not changed: let the service do it")
        }
        "stream" | "mail" => Instead("only HTTP is proxied"),
        "set" | "rewrite_log" | "break" => Instead(
            "there are no variables: write the value where it is used, or a route for each case",
        ),
        "if" => Instead(
            "a route of its own with the condition as hosts, methods, headers, cookies or query",
        ),
        "rewrite" => Instead(
            "redirect, or rewrite = { path_regex = { match = \"…\", to = \"…\" } } of a route",
        ),
        "satisfy" => Instead("all conditions must hold here; write a route for each way in"),
        "auth_jwt_key_file" | "auth_jwt_key_request" => {
            Instead("auth = { jwt = { jwks = { file = \"…\" } } }")
        }
        "allow" | "deny" => Closes("access = { allow = [], deny = [] } of the route"),
        "internal" => Closes("respond = { status = 404 } of a route"),
        "limit_except" => Closes("access = { methods = [\"GET\", \"HEAD\"] } of the route"),
        "auth_basic" => Closes("auth = { basic = { file = \"users.htpasswd\" } } of the route"),
        "auth_jwt" => Closes("auth = { jwt = { jwks = { file = \"…\" } } } of the route"),
        "auth_jwt_require" => Closes("access = { claims = { NAME = \"VALUE\" } } of the route"),
        "auth_oidc" | "openid_connect" => Closes("auth = { oidc = … } of the route"),
        "auth_request" => {
            Closes("auth = { forward = { pool = \"…\", path = \"…\" } } of the route")
        }
        "valid_referers" => Instead("headers = { referer = { regex = \"…\" } } of a route"),
        "secure_link" | "secure_link_secret" => {
            Closes("no equal: let the service, or auth = { forward = … }, decide")
        }
        name if name.starts_with("auth_") && !guard::is_harmless(name) => {
            Closes("auth of the route, by basic, api_key, jwt, oidc or forward")
        }
        "brotli" | "brotli_types" | "brotli_comp_level" | "brotli_min_length" | "zstd" => {
            Instead("compress = { encodings = [\"zstd\", \"br\", \"gzip\"] }")
        }
        "health_check" => Instead("health = { http = { path = \"/\" } } of the pool"),
        "sticky" => Instead("session = { cookie = \"…\", secret = { env = \"…\" } } of the pool"),
        "merge_slashes" => Needless("paths are compared with single slashes and sent as they came"),
        "ignore_invalid_headers" => Needless("names that are no tokens are refused"),
        "proxy_ignore_client_abort" => Instead("a request whose client has gone is given up"),
        "proxy_cache_lock"
        | "proxy_cache_lock_timeout"
        | "proxy_cache_lock_age"
        | "proxy_cache_revalidate"
        | "proxy_cache_background_update"
        | "proxy_cache_methods" => Needless(
            "equal requests share one fetch, stale answers are validated, GET and HEAD are stored",
        ),
        "proxy_cache_min_uses" => Needless("what is asked for least leaves the cache first"),
        "proxy_ignore_headers" => {
            Instead("the Cache-Control of answers is obeyed: change it at the service")
        }
        "js_import" | "js_content" | "js_set" | "perl_set" | "lua_package_path" => {
            Instead("no scripts run here: an embedding program may bring filters of its own")
        }
        CONSTANT => Needless("its value is written where it is used"),
        "proxy_set_header" | "grpc_set_header" => Instead("headers_request of a route with a pool"),
        "add_header" | "proxy_hide_header" | "proxy_pass_header" | "add_trailer" => {
            Instead("headers_response of the route")
        }
        "proxy_read_timeout" | "proxy_send_timeout" | "grpc_read_timeout" | "grpc_send_timeout" => {
            Instead("timeouts = { total = \"…\", idle = \"…\" } of a route with a pool")
        }
        "proxy_connect_timeout" => Instead("timeouts = { connect = \"…\" } of a pool"),
        "client_max_body_size" => Instead("body_max of a route with a pool"),
        "gzip" | "gzip_types" | "gzip_comp_level" | "gzip_min_length" => {
            Instead("compress = {} of a route with a pool")
        }
        "proxy_cache"
        | "proxy_cache_valid"
        | "proxy_cache_key"
        | "proxy_cache_use_stale"
        | "proxy_cache_bypass"
        | "proxy_no_cache" => Instead("cache = { max_size = \"…\" } of a route with a pool"),
        "proxy_next_upstream" | "proxy_next_upstream_tries" | "proxy_next_upstream_timeout" => {
            Instead("retry of a route with a pool")
        }
        "max_headers" => Instead("limits.headers of the listener"),
        "chunked_transfer_encoding" => {
            Needless("the length of a body is said as the service said it")
        }
        name if name.ends_with("_hash_bucket_size") || name.ends_with("_hash_max_size") => {
            Needless("there is nothing to tune")
        }
        name if name.ends_with("_temp_path") => Needless("nothing is written to disk"),
        name if name.contains("_by_lua") && may_refuse(name) => {
            Closes("no scripts run here: let auth = { forward = … } decide, or embed a filter")
        }
        name if name.contains("_by_lua") => {
            Instead("no scripts run here: an embedding program may bring filters of its own")
        }
        name if name.starts_with("fastcgi_")
            || name.starts_with("uwsgi_")
            || name.starts_with("scgi_") =>
        {
            Instead("only HTTP is spoken to endpoints")
        }
        name if name.starts_with("upstream_conf") || name.starts_with("status") => {
            Instead("[admin] has /pools and /status")
        }
        name if guard::is_harmless(name) => {
            Instead("no equal is known: see docs/coming-from-nginx.md")
        }
        _ => Closes(
            "no equal is known: if it keeps nobody out, remove the line and import again; else see access and auth of a route",
        ),
    }
}

/// Returns true for a script that may answer in place of the endpoint.
fn may_refuse(name: &str) -> bool {
    ["access_", "rewrite_", "server_rewrite_", "content_"]
        .iter()
        .any(|kind| name.starts_with(kind))
}
