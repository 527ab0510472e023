//! Configuration file of the demo, and its changes during the story.

use std::{
    fmt::Write as _, fs, io, net::SocketAddr, os::unix::fs::DirBuilderExt, path::PathBuf, rc::Rc,
};

use super::{
    port::Port,
    service::{BAD, HEALTH, Service},
};

/// The file, in a folder that is removed when the demo ends.
#[derive(Debug)]
pub(super) struct Settings {
    folder: Folder,
    web: Port,
    admin: Port,
    /// Of this demo alone: it lets whoever reads the screen press the buttons of the dashboard.
    token: String,
    services: Rc<[Service]>,
}

/// Content of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chapter {
    /// 10 % of the shop's traffic goes to version 2.
    Beginning,
    /// 50 % of it does.
    Shifted,
    /// As before, with a route to a pool whose name is misspelt.
    Broken,
    /// The name is correct.
    Mended,
    /// The orders roll version 2.0 out.
    Upgraded,
    /// They roll version 2.1 out, which fails half of its requests.
    Worsened,
}

impl Settings {
    /// Writes the first version of the file.
    pub(super) fn new(services: &Rc<[Service]>) -> io::Result<Self> {
        let settings = Self {
            folder: Folder::make()?,
            web: Port::take()?,
            admin: Port::take()?,
            token: format!("demo-{:08x}", rand::random::<u32>()),
            services: Rc::clone(services),
        };
        settings.write(Chapter::Beginning)?;
        Ok(settings)
    }

    /// Address that the clients connect to.
    pub(super) fn web(&self) -> SocketAddr {
        self.web.address()
    }

    /// Address of the admin API.
    pub(super) fn admin(&self) -> SocketAddr {
        self.admin.address()
    }

    /// The file.
    pub(super) fn file(&self) -> PathBuf {
        self.folder.0.join("proxy.toml")
    }

    /// Replaces the file as careful editors do: a new file, then a rename.
    pub(super) fn write(&self, chapter: Chapter) -> io::Result<()> {
        let new = self.folder.0.join("proxy.toml.new");
        fs::write(&new, self.text(chapter))?;
        fs::rename(new, self.file())
    }

    /// Returns the text that tells a person how to look around.
    pub(super) fn introduction(&self) -> String {
        let (web, admin) = (self.web(), self.admin());
        let mut endpoints = String::new();
        for service in self.services.iter() {
            let who = format!("{} {}", service.name(), service.version());
            let _ = writeln!(endpoints, "{who:<14} {}", service.address());
        }
        format!(
            "Sluicegate in front of two services, in two versions each.\n\
             \n\
             dashboard      http://{admin}/  (for its buttons, the token {token})\n\
             configuration  {file}\n\
             access log     {log}\n\
             {endpoints}\
             \n\
             Try, in another terminal:\n\
             \x20 curl http://{web}/               # the shop\n\
             \x20 curl http://{web}/orders/17      # the orders, their prefix stripped\n\
             \x20 curl http://{web}/orders/ -H 'x-preview: 1'   # their version 2 only\n\
             \x20 curl http://{web}/about          # an answer of the proxy's own\n\
             \x20 curl http://{web}/old/shop -i    # a redirect\n\
             \x20 curl http://{admin}/pools          # the endpoints and their health\n\
             \x20 curl http://{admin}/requests?last=5   # recent requests: what was decided\n\
             \x20 curl http://{admin}/metrics        # for Prometheus\n\
             \n\
             Each line is a second, as the clients saw it: requests answered, the slowest but\n\
             one in a hundred, failures so far; then what the proxy did about trouble, and\n\
             each endpoint's share of its service. Lines with a date are the proxy's own log.\n",
            token = self.token,
            file = self.file().display(),
            log = self.folder.0.join("access.log").display(),
        )
    }

    fn text(&self, chapter: Chapter) -> String {
        let (old, new) = match chapter {
            Chapter::Beginning => (9, 2),
            Chapter::Shifted
            | Chapter::Broken
            | Chapter::Mended
            | Chapter::Upgraded
            | Chapter::Worsened => (1, 2),
        };
        let shop = self.endpoints("shop", |version| {
            Some(if version.starts_with("1.") { old } else { new })
        });
        let orders = self.endpoints("orders", |version| {
            let known = chapter == Chapter::Worsened || !version.starts_with(BAD);
            known.then_some(1)
        });
        let (destination, added) = additions(chapter);
        format!(
            r#"# The demo wrote this file. Edit it while the demo runs: a right change is taken
# over at once, a wrong one is refused with its line, and nothing is lost either way.

[proxy]
workers = 2
drain = {{ timeout = "5s" }}

[admin]
address = "{admin}"
token = "{token}"

[access_log]
path = "access.log"
format = "json"

[listeners.web]
address = "{web}"

[routes.shop]                     # takes what no other route takes
pool = "shop"

[routes.orders]
path_prefix = "/orders"
{destination} = "orders"
rewrite = {{ strip_prefix = "/orders" }}

[routes.orders_preview]           # more conditions win over fewer
path_prefix = "/orders"
headers = {{ x-preview = {{ present = true }} }}
pool = "orders"
version = "^2"
rewrite = {{ strip_prefix = "/orders" }}

[routes.orders_by_host]
hosts = ["orders.localhost"]
pool = "orders"

[routes.about]
path = "/about"
respond = {{ status = 200, body = "This is the proxy itself.\n" }}

[routes.old]
path_prefix = "/old"
redirect = {{ to = "http://{{host}}/", status = 308 }}
{added}
[pools.shop]
endpoints = [
{shop}]
health = {{ http = {{ path = "{HEALTH}" }}, interval = "1s", interval_down = "500ms", timeout = "500ms" }}
ejection = {{ consecutive = 3, base = "1s", max = "5s" }}
retry_budget = {{ minimum = 10 }}   # so few clients that a share of them is next to nothing

[pools.orders]
picker = "least_requests"
endpoints = [
{orders}]
health = {{ http = {{ path = "{HEALTH}" }}, interval = "1s", interval_down = "500ms", timeout = "500ms" }}
ejection = {{ consecutive = 3, base = "1s", max = "5s" }}
retry_budget = {{ minimum = 10 }}

[tests.orders_go_to_orders]       # checked before every reload
request = {{ url = "http://demo/orders/17" }}
expect = {{ route = "orders", pool = "orders" }}
"#,
            admin = self.admin(),
            token = self.token,
            web = self.web(),
        )
    }

    fn endpoints(&self, pool: &str, weight: impl Fn(&str) -> Option<u32>) -> String {
        let mut text = String::new();
        for service in self
            .services
            .iter()
            .filter(|service| service.pool() == pool)
        {
            let Some(weight) = weight(service.version()) else {
                continue;
            };
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                r#"    {{ address = "{}", version = "{}", weight = {weight} }},  # {}"#,
                service.address(),
                service.version(),
                service.name(),
            );
        }
        text
    }
}

/// Returns the kind of destination of the orders, and the tables that a chapter adds.
fn additions(chapter: Chapter) -> (&'static str, String) {
    let hello = hello_route("shop");
    match chapter {
        Chapter::Beginning | Chapter::Shifted => ("pool", String::new()),
        Chapter::Broken => ("pool", hello_route("shpo")),
        Chapter::Mended => ("pool", hello),
        Chapter::Upgraded => ("rollout", hello + &rollout("^1", "~2.0")),
        Chapter::Worsened => ("rollout", hello + &rollout("~2.0", "~2.1")),
    }
}

fn rollout(baseline: &str, candidate: &str) -> String {
    format!(
        r#"
[rollouts.orders]
pool = "orders"
baseline = "{baseline}"
candidate = "{candidate}"
steps = [{{ share = "20%", hold = "500ms" }}, {{ share = "50%", hold = "500ms" }}]
gate = {{ volume_min = 20 }}
"#
    )
}

fn hello_route(pool: &str) -> String {
    format!("\n[routes.hello]\npath_prefix = \"/hello\"\npool = \"{pool}\"\n")
}

/// A folder among the temporary files, removed on drop.
#[derive(Debug)]
struct Folder(PathBuf);

impl Folder {
    fn make() -> io::Result<Self> {
        let name = format!("sluicegate-demo-{:016x}", rand::random::<u64>());
        let path = std::env::temp_dir().join(name);
        // Fails if somebody else has it, and lets nobody else in.
        fs::DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed stays among the temporary files.
        let _ = fs::remove_dir_all(&self.0);
    }
}
