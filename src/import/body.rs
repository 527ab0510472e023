//! The bound of request bodies where the other proxy's configuration writes none.

use super::document::{Document, Table};

impl Document {
    /// Gives routes without a bound of request bodies the one that the other proxy has there, which
    /// `why` tells. Keys that routes share have been moved before.
    pub(super) fn bound_bodies(&mut self, bound: &str, why: &str) {
        let is_route = |table: &Table| table.name.starts_with("routes.");
        let is_sent_on = |table: &&Table| table.has("pool") || table.has_below("split");
        let routes = self.tables.iter().filter(|it| is_route(it));
        let is_needed = routes.filter(is_sent_on).any(|it| !it.has("body_max"));
        let shared = |table: &Table| table.name == DEFAULTS;
        let at = self.tables.iter().position(shared);
        if !is_needed || at.is_some_and(|at| self.tables[at].has("body_max")) {
            return;
        }
        let at = at.unwrap_or_else(|| {
            let first = self.tables.iter().position(is_route).unwrap_or(0);
            self.tables.insert(first, Table::new(DEFAULTS));
            first
        });
        let table = &mut self.tables[at];
        table.note(why);
        table.set_plain("body_max", bound);
    }
}

const DEFAULTS: &str = "defaults.routes";

#[cfg(test)]
mod tests {
    use crate::import::{Dialect, tests::imported};

    /// The bounds of a configuration by the tables that have them.
    fn bounds(dialect: Dialect, name: &str, text: &str) -> Vec<(String, String)> {
        let folder = tempfile::tempdir().unwrap();
        let text = imported(dialect, &folder.path().join(name), text);
        let tables: toml::Table = toml::from_str(&text).unwrap();
        let bound = |table: &toml::Value| Some(table.get("body_max")?.to_string());
        let routes = tables["routes"].as_table().unwrap().iter();
        let of_routes = routes.filter_map(|(name, it)| Some((name.clone(), bound(it)?)));
        let defaults = tables.get("defaults").and_then(|it| it.get("routes"));
        let shared = defaults
            .and_then(bound)
            .map(|it| ("defaults".to_owned(), it));
        let all = shared.into_iter().chain(of_routes);
        all.collect()
    }

    fn nginx(http: &str, server: &str) -> Vec<(String, String)> {
        let text =
            format!("events {{}}\nhttp {{\n{http}\nserver {{ listen 8080;\n{server}\n}}\n}}\n");
        bounds(Dialect::Nginx, "nginx.conf", &text)
    }

    fn pairs(bounds: &[(String, String)]) -> Vec<(&str, &str)> {
        let bounds = bounds.iter();
        bounds.map(|(name, bound)| (&**name, &**bound)).collect()
    }

    #[test]
    fn nginx_has_its_bound_where_none_is_written_and_none_at_0() {
        const APP: &str = "location / { proxy_pass http://127.0.0.1:1; }";
        let own = |size: &str| {
            format!(
                "location /up {{ client_max_body_size {size}; proxy_pass http://127.0.0.1:1; }}"
            )
        };
        let one = "\"1MiB\"";
        assert_eq!(pairs(&nginx("", APP)), [("defaults", one)]);
        let with_own = nginx("", &format!("{APP} {}", own("5m")));
        assert_eq!(with_own[0], ("defaults".to_owned(), one.to_owned()));
        assert_eq!(with_own.len(), 2);
        assert_eq!(with_own[1].1, "\"5MiB\"");
        let unbound = nginx("client_max_body_size 0;", &format!("{APP} {}", own("5m")));
        let values: Vec<&str> = unbound.iter().map(|(_, bound)| &**bound).collect();
        assert_eq!(values, ["false", "\"5MiB\""], "{unbound:?}");
        let http = "client_max_body_size 2m;";
        let shared = nginx(
            http,
            &format!("{APP} location /b {{ proxy_pass http://127.0.0.1:1; }}"),
        );
        assert_eq!(pairs(&shared), [("defaults", "\"2MiB\"")]);
        assert_eq!(nginx("", "location / { return 204; }"), []);
    }

    #[test]
    fn proxies_without_a_bound_keep_none_beside_those_that_are_written() {
        let plain = ":80 {\n\treverse_proxy :1\n}\n";
        let caddy = bounds(Dialect::Caddy, "Caddyfile", plain);
        assert_eq!(pairs(&caddy), [("defaults", "false")]);
        let both = ":80 {\n\treverse_proxy :1\n}\n:81 {\n\trequest_body {\n\t\tmax_size 1MB\n\t}\n\
                    \treverse_proxy :2\n}\n:82 {\n\trequest_body {\n\t\tmax_size 0\n\t}\n\
                    \treverse_proxy :3\n}\n";
        let caddy = bounds(Dialect::Caddy, "Caddyfile", both);
        let values: Vec<&str> = caddy.iter().map(|(_, bound)| &**bound).collect();
        assert_eq!(values, ["false", "\"1000000B\""], "{caddy:?}");

        let text = "frontend web\n bind *:80\n default_backend app\n\
                    backend app\n server a 10.0.0.1:80\n";
        let haproxy = bounds(Dialect::Haproxy, "haproxy.cfg", text);
        assert_eq!(pairs(&haproxy), [("defaults", "false")]);

        let text = "http:\n  routers:\n    all:\n      rule: PathPrefix(`/`)\n      service: app\n    up:\n\
                    \x20     rule: PathPrefix(`/up`)\n      service: app\n      middlewares: [small]\n  middlewares:\n\
                    \x20   small:\n      buffering:\n        maxRequestBodyBytes: 1024\n  services:\n    app:\n\
                    \x20     loadBalancer:\n        servers:\n          - url: http://10.0.0.1:80\n";
        let traefik = bounds(Dialect::Traefik, "dynamic.yml", text);
        let values: Vec<&str> = traefik.iter().map(|(_, bound)| &**bound).collect();
        assert_eq!(values, ["false", "\"1KiB\""], "{traefik:?}");
    }
}
