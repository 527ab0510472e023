//! `top` in a real terminal, that of tmux.

use std::process::{Command, Output};

use crate::running::{Running, eventually};

/// A terminal of its own server. Ended on drop.
struct Terminal {
    name: String,
}

impl Terminal {
    /// Starts a command by the shell; `None` when tmux is not installed.
    fn start(name: &str, columns: u16, lines: u16, command: &str) -> Option<Self> {
        let name = format!("sluicegate-{name}-{}", std::process::id());
        let terminal = Self { name };
        let size = [columns.to_string(), lines.to_string()];
        let arguments = [
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            &*size[0],
            "-y",
            &*size[1],
            command,
        ];
        let Some(output) = terminal.tmux(&arguments) else {
            eprintln!("passed over: tmux is not installed; tests/run installs it");
            return None;
        };
        assert!(output.status.success(), "{output:?}");
        Some(terminal)
    }

    fn tmux(&self, arguments: &[&str]) -> Option<Output> {
        let mut command = Command::new("tmux");
        command.args(["-L", &self.name]).args(arguments);
        command.env("LC_ALL", "C.UTF-8").env_remove("TMUX");
        command.output().ok()
    }

    fn keys(&self, keys: &[&str]) {
        let arguments = [&["send-keys"][..], keys].concat();
        assert!(self.tmux(&arguments).unwrap().status.success());
    }

    fn text(&self) -> String {
        let output = self.tmux(&["capture-pane", "-p"]).unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Waits until the screen is as wanted.
    fn until(&self, what: &str, is_there: impl Fn(&str) -> bool) -> String {
        let mut text = String::new();
        eventually(&format!("the terminal shows {what}"), || {
            text = self.text();
            is_there(&text)
        });
        text
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.tmux(&["kill-server"]);
    }
}

const SHOP: &str = r#"
[proxy]
workers = 1

[admin]
address = "$admin"

[listeners.web]
address = "$web"

[routes.all]
pool = "app"

[pools.app]
endpoints = [{ address = "$app", version = "1.4.0" }]

[pools.orders]
endpoints = ["$orders"]
"#;

/// The command that runs `top`, and then says how the terminal was left.
fn command(proxy: &Running) -> String {
    let program = env!("CARGO_BIN_EXE_sluicegate");
    let folder = proxy.path("").display().to_string();
    format!(
        "cd {folder}; {program} top; echo ended with $?; stty -a | grep -o ' icanon'; read line"
    )
}

#[test]
fn top_shows_endpoints_sorts_filters_and_leaves_the_terminal_as_it_was() {
    let proxy = Running::start(SHOP, &["app", "orders"]);
    let Some(terminal) = Terminal::start("wide", 140, 20, &command(&proxy)) else {
        return;
    };
    let (app, orders) = (proxy.address("app"), proxy.address("orders"));
    let text = terminal.until("both endpoints", |text| {
        text.contains(&app) && text.contains(&orders)
    });
    for part in ["running", "req/s", "1.4.0", "healthy", "pool^", "q quit"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // What happens appears.
    proxy.get("/", "");
    terminal.keys(&["2"]);
    terminal.until("the route", |text| {
        text.contains("route^") && text.contains("all")
    });
    terminal.keys(&["1", "/", "o", "r", "d", "e", "r", "s"]);
    terminal.until("the filter", |text| {
        text.contains("filter: orders") && text.contains(&orders) && !text.contains(&app)
    });
    // A terminal takes an escape with a letter close behind it for one key.
    terminal.keys(&["Escape"]);
    terminal.until("all endpoints again", |text| text.contains(&app));
    terminal.keys(&["r"]);
    terminal.until("the other order", |text| {
        let place = |part: &str| text.find(part).unwrap_or_default();
        text.contains("poolv") && place(&orders) < place(&app)
    });
    terminal.keys(&["?"]);
    terminal.until("the help", |text| {
        text.contains("show only rows with a text")
    });
    terminal.keys(&["q"]);
    let text = terminal.until("its end", |text| text.contains("icanon"));
    assert!(
        text.contains("ended with 0") && text.contains("icanon"),
        "{text}"
    );
    assert!(
        !text.contains("req/s"),
        "the screen from before is back: {text}"
    );
}

#[test]
fn top_waits_for_a_proxy_that_is_away_and_fits_a_narrow_terminal() {
    let mut proxy = Running::start(SHOP, &["app", "orders"]);
    let Some(terminal) = Terminal::start("narrow", 50, 12, &command(&proxy)) else {
        return;
    };
    let app = proxy.address("app");
    let text = terminal.until("the endpoint", |text| text.contains(&app));
    assert!(!text.contains("ejections"), "{text}");
    proxy.stop();
    let text = terminal.until("that it is away", |text| text.contains("trying again"));
    assert!(text.contains(&app), "what was known stays: {text}");
    proxy.start_again();
    terminal.until("that it is back", |text| !text.contains("trying again"));
    terminal.keys(&["C-c"]);
    let text = terminal.until("its end", |text| text.contains("icanon"));
    assert!(
        text.contains("ended with 0") && text.contains("icanon"),
        "{text}"
    );
}

#[test]
fn top_without_a_terminal_says_so_and_programs_get_one_overview() {
    let proxy = Running::start(SHOP, &["app", "orders"]);
    let outcome = proxy.run(&["top"]);
    assert_eq!(outcome.code, Some(2), "{}", outcome.all());
    assert!(
        outcome.stderr.contains("needs a terminal"),
        "{}",
        outcome.all()
    );
    let overview = proxy.json(&["top"]);
    assert_eq!(overview["pools"][0]["name"], "app");
}
