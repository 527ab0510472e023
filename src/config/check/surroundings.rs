//! Checks on the environment of the process: folders, secrets, access to the admin API.

use std::path::Path;

use super::Check;
use crate::config::{
    schema::{AccessFormat, AccessLog, Admin, DebugHeader, LogTarget},
    setting::Span,
    value::{BindAddress, Piece, Secret, nearest::alternatives},
};

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    let state = config.proxy.state_dir.as_deref();
    if let Some(folder) = state.filter(|folder| folder.exists() && !folder.is_dir()) {
        let message = format!("proxy.state_dir {} is not a folder", folder.display());
        check.error(
            config.proxy.spans.of("state_dir"),
            message,
            "a folder, or a path to make one at",
        );
    }
    let mut trusted = config.proxy.trusted_proxies.iter();
    if trusted.any(|block| block.prefix_len() == 0) {
        let message = "proxy.trusted_proxies trusts every peer";
        let hint = "any client could then claim any address";
        check.warn(config.proxy.spans.of("trusted_proxies"), message, hint);
    }
    for (name, listener) in &config.listeners {
        let owner = format!("listeners.{name}.address");
        check_socket(
            check,
            &owner,
            &listener.address,
            listener.spans.of("address"),
        );
    }
    if let Some(admin) = &config.admin {
        check_admin(check, admin);
    }
    if let Some(header) = &config.proxy.debug_header {
        check_debug_header(check, header);
    }
    if let Some(log) = &config.access_log {
        check_access_log(check, log);
    }
    let metrics = &config.metrics;
    if let Some(address) = &metrics.address {
        check_socket(
            check,
            "metrics.address",
            address,
            metrics.spans.of("address"),
        );
    }
    let series = metrics.series_max.into();
    check.within(
        "metrics",
        &metrics.spans,
        "series_max",
        series,
        (100, SERIES_MAX),
    );
    let endpoints = metrics.per_endpoint.into();
    check.within(
        "metrics",
        &metrics.spans,
        "per_endpoint",
        endpoints,
        (0, ENDPOINTS_MAX),
    );
}

fn check_admin(check: &mut Check<'_>, admin: &Admin) {
    check_socket(
        check,
        "admin.address",
        &admin.address,
        admin.spans.of("address"),
    );
    let (token, read_token) = (&admin.token, &admin.read_token);
    match token {
        None if !admin.address.is_local() && read_token.is_none() => {
            let message = format!("[admin] listens at {} without a token", admin.address);
            let hint =
                "others can reach this address: add token = { env = \"…\" }, or use 127.0.0.1";
            check.error(admin.spans.of("address"), message, hint);
        }
        None => {}
        Some(secret) => check.secret("admin.token", admin.spans.of("token"), secret),
    }
    let Some(secret) = read_token else {
        return;
    };
    let span = admin.spans.of("read_token");
    check.secret("admin.read_token", span, secret);
    let same = |token: &Secret| {
        token
            .reveal()
            .ok()
            .is_some_and(|it| secret.reveal() == Ok(it))
    };
    if token.as_ref().is_some_and(same) {
        let message = "admin.read_token is the same as admin.token";
        let hint = "whoever may only read must not have the token for changes: choose another";
        check.error(span, message, hint);
    }
}

fn check_debug_header(check: &mut Check<'_>, header: &DebugHeader) {
    let spans = &header.spans;
    if let Some(token) = &header.token {
        check.secret("proxy.debug_header.token", spans.of("token"), token);
    }
    let broken = ["token", "from"].iter().any(|key| {
        let place = format!("proxy.debug_header.{key}");
        check.is_broken(&place)
    });
    if header.token.is_none() && header.from.is_empty() && !broken {
        let message = "proxy.debug_header lets nobody in";
        let hint = "add token = { env = \"…\" }, or from = [\"10.0.0.0/8\"]";
        check.error(spans.anchor(), message, hint);
    }
    if header.from.iter().any(|network| network.prefix_len() == 0) {
        let message = "proxy.debug_header.from lists every client";
        let hint = "answers name routes, pools and endpoints: list the networks of operators";
        check.warn(spans.of("from"), message, hint);
    }
}

fn check_access_log(check: &mut Check<'_>, log: &AccessLog) {
    if let LogTarget::File(path) = &log.path {
        check_parent(check, "access_log.path", path, log.spans.of("path"));
        if path.is_dir() {
            let message = format!("access_log.path {} is a folder", path.display());
            check.error(log.spans.of("path"), message, "the path of a file");
        }
    }
    check_destination(check, log);
    let AccessFormat::Template(template) = &log.format else {
        return;
    };
    let added: Vec<&str> = log.fields.add.keys().map(String::as_str).collect();
    let is_broken =
        check.is_broken("access_log.fields") || check.is_broken("access_log.fields.add");
    for piece in template.pieces() {
        if let Piece::Fill(field) = piece
            && let Some(name) = field.added()
            && !added.contains(&name)
            && !is_broken
        {
            let message = format!("access_log.format: no field \"{name}\" is added");
            let hint = alternatives("access_log.fields.add has", name, &added);
            check.error(log.spans.of("format"), message, hint);
        }
    }
}

/// Checks rotation and syslog, which do not go together.
fn check_destination(check: &mut Check<'_>, log: &AccessLog) {
    let is_file = matches!(log.path, LogTarget::File(_));
    if let Some(rotate) = &log.rotate {
        let (size, keep) = (rotate.size.bytes(), rotate.keep.into());
        let within = (ROTATION_MIN, u64::MAX);
        check.within("access_log.rotate", &rotate.spans, "size", size, within);
        check.within("access_log.rotate", &rotate.spans, "keep", keep, (1, 1000));
        if !is_file {
            let message = "access_log.rotate is for a file, and there is none";
            let hint =
                "add path = \"access.log\"; what reads standard output or syslog rotates itself";
            check.error(log.spans.of("rotate"), message, hint);
        }
    }
    let Some(syslog) = &log.syslog else {
        return;
    };
    if is_file {
        let message = "access_log has two destinations, path and syslog";
        let hint = "keep one of them; a syslog server can write a file";
        check.error(log.spans.of("syslog"), message, hint);
    }
    let app = &syslog.app;
    if app.is_empty() || app.len() > 48 || !app.bytes().all(|byte| byte.is_ascii_graphic()) {
        let message = "access_log.syslog.app is no name for syslog";
        let hint = "1 to 48 characters of ASCII, without spaces";
        check.error(syslog.spans.of("app"), message, hint);
    }
}

fn check_socket(check: &mut Check<'_>, key: &str, address: &BindAddress, span: Span) {
    if let BindAddress::Unix(path) = address {
        check_parent(check, key, path, span);
    }
}

/// Refuses a path whose folder does not exist: it could not be written to.
fn check_parent(check: &mut Check<'_>, key: &str, path: &Path, span: Span) {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    let Some(folder) = folder.filter(|folder| !folder.is_dir()) else {
        return;
    };
    let message = format!("{key}: the folder {} does not exist", folder.display());
    check.error(span, message, "make the folder first");
}

/// Largest number of series: a million are a few hundred megabytes of text per scrape.
const SERIES_MAX: u64 = 1_000_000;

const ENDPOINTS_MAX: u64 = 100_000;

/// Two batches of lines: a smaller file would be rotated with each write.
const ROTATION_MIN: u64 = 64 << 10;
