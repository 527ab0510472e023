//! Directives that keep clients out: a route is closed by each that has no equal.
//!
//! A directive that nobody knows here may be one: only those of a table are harmless.

use super::{
    Translator,
    advice::{Advice, advice},
    level::Level,
    location::Matcher,
    syntax::Directive,
};
use crate::import::document::{Source, Table};

impl<'a> Translator<'a> {
    /// Closes a route if something in force there keeps clients out and was not translated.
    pub(super) fn guard(&self, table: &mut Table, level: &Level<'a>) {
        for (source, why) in &self.closing {
            table.close(source, why);
        }
        for directive in level.left() {
            if let Some(why) = closes(directive) {
                level.mark_closing(directive);
                table.close(&directive.source, why);
            }
        }
    }

    /// Notes what closes all locations of a server: conditions that refuse, and locations whose
    /// paths cannot be told.
    pub(super) fn closing_of(&mut self, level: &Level<'a>, block: &'a Directive) {
        let conditions = level.rest().filter(|it| it.name == "if");
        let mut closing: Vec<(Source, &'static str)> = Vec::new();
        for directive in conditions {
            if let Some(why) = closes(directive) {
                level.mark(directive);
                closing.push((directive.source.clone(), why));
            }
        }
        for location in super::blocks(block.inner()) {
            let is_unknown = |it: &str| regex::Regex::new(it).is_err();
            if location.name == "location"
                && let Matcher::Regex(expression) = Matcher::of(location)
                && is_unknown(&expression)
                && super::blocks(location.inner()).into_iter().any(refuses)
            {
                closing.push((
                    location.source.clone(),
                    "path_regex has no look-around and no back-references: write the paths that this keeps clients from as a route",
                ));
            }
        }
        self.closing = closing;
    }
}

/// Returns what to do about a directive that keeps clients out, or may do so.
pub(super) fn closes(directive: &Directive) -> Option<&'static str> {
    if super::is_structure(&directive.name) {
        return None;
    }
    if directive.name == "if" {
        let inner = super::blocks(directive.inner());
        return inner.into_iter().any(refuses).then_some(CONDITION);
    }
    if directive.name == "include" {
        let is_missing = !super::included::is_needless(directive.first())
            && !directive.first().contains(['*', '?', '[']);
        return is_missing.then_some(MISSING);
    }
    match advice(&directive.name) {
        Advice::Closes(_) if directive.first() == "off" => None,
        Advice::Closes(why) => Some(why),
        Advice::Needless(_) | Advice::Instead(_) => None,
    }
}

/// Returns true for a directive that keeps a request from the endpoint. A permanent redirect moves
/// a page; others may lead to a page where clients log in.
fn refuses(directive: &Directive) -> bool {
    match &*directive.name {
        "return" => !matches!(directive.first(), "301" | "308"),
        "rewrite" => directive.args.last().is_some_and(|it| it == "redirect"),
        _ => closes(directive).is_some(),
    }
}

/// Returns true for a directive without an equal that keeps nobody out.
pub(super) fn is_harmless(name: &str) -> bool {
    HARMLESS.contains(&name) || HARMLESS_KINDS.iter().any(|kind| name.starts_with(kind))
}

pub(super) const CONDITION: &str = "a route of its own with the condition as hosts, methods, headers, cookies, query or source, and respond = { status = 403 }; or access = { methods = [], deny = [] }";

const MISSING: &str = "what the file says may keep clients out: copy it to where the line says and import again, or remove the line";

/// Directives that keep nobody out.
const HARMLESS: [&str; 58] = [
    "absolute_redirect",
    "ancient_browser",
    "ancient_browser_value",
    "api",
    "auth_basic_user_file",
    "auth_delay",
    "auth_jwt_key_cache",
    "auth_jwt_leeway",
    "auth_jwt_type",
    "auth_request_set",
    "chunked_transfer_encoding",
    "create_full_put_path",
    "default",
    "default_type",
    "disable_symlinks",
    "early_hints",
    "empty_gif",
    "env",
    "expires",
    "f4f",
    "flv",
    "header_filter_by_lua_block",
    "hls",
    "keyval",
    "keyval_zone",
    "lingering_close",
    "lingering_time",
    "match",
    "max_ranges",
    "merge_slashes",
    "min_delete_depth",
    "modern_browser",
    "modern_browser_value",
    "override_charset",
    "port_in_redirect",
    "post_action",
    "preread_timeout",
    "read_ahead",
    "real_ip_header",
    "real_ip_recursive",
    "recursive_error_pages",
    "request_id",
    "satisfy",
    "secure_link_md5",
    "server_name",
    "server_name_in_redirect",
    "set",
    "set_real_ip_from",
    "slice",
    "source_charset",
    "ssi",
    "state",
    "status_zone",
    "stub_status",
    "uninitialized_variable_warn",
    "unmap",
    "valid_referers",
    "zone",
];
/// Beginnings of the names of directives that keep nobody out.
const HARMLESS_KINDS: [&str; 75] = [
    "access_log",
    "acme_",
    "add_",
    "addition_",
    "aio",
    "autoindex",
    "brotli",
    "charset",
    "client_",
    "dav_",
    "debug_",
    "directio",
    "echo",
    "error_",
    "fancyindex",
    "fastcgi_",
    "geoip",
    "grpc_",
    "gunzip",
    "gzip",
    "health_check",
    "http2",
    "http3",
    "image_filter",
    "index",
    "js_body_",
    "js_context_",
    "js_engine",
    "js_fetch_",
    "js_header_",
    "js_import",
    "js_path",
    "js_periodic",
    "js_preload_",
    "js_set",
    "js_shared_",
    "js_var",
    "keepalive",
    "large_client_",
    "limit_conn",
    "limit_rate",
    "limit_req",
    "lingering_",
    "listen",
    "log_",
    "lua_",
    "memcached_",
    "more_",
    "mp4",
    "nchan_",
    "open_",
    "opentracing",
    "otel",
    "output_",
    "pagespeed",
    "perl_",
    "postpone_",
    "proxy_",
    "quic",
    "resolver",
    "scgi_",
    "send_",
    "session_log",
    "spdy_",
    "ssi_",
    "ssl_",
    "sub_filter",
    "subrequest_",
    "subs_filter",
    "tcp_",
    "userid",
    "uwsgi_",
    "vhost_traffic_",
    "xslt_",
    "zstd",
];
