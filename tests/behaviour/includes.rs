//! `include`: a configuration in several files, each of which is followed.

use std::fs;

use rustix::process::Signal;

use crate::harness::{Backend, Proxy, Settings, answer, eventually};

const MAIN: &str = r#"
        include = ["conf.d/*.toml"]
        [proxy]
        state_dir = "state"
        [listeners.web]
        address = "$web"
        [routes.main]
        path = "/main"
        respond = { body = "main" }
"#;

fn route(name: &str, body: &str) -> String {
    format!("[routes.{name}]\npath = \"/{name}\"\nrespond = {{ body = \"{body}\" }}\n")
}

async fn answers(proxy: &Proxy, target: &str, status: u16, body: &str) {
    eventually(format!("{target} answers {status}, {body}"), || async {
        let answer = proxy.get(target).await;
        let text = answer.text();
        (answer.status == status && (status != 200 || text == body)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn new_changed_and_removed_files_are_followed_and_survive_a_restart() {
    let app = Backend::start(|_| answer("")).await;
    let settings = Settings::new(MAIN).backend("app", &app);
    let folder = settings.folder().join("conf.d");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a.toml"), route("a", "one")).unwrap();
    let mut proxy = settings.start().await;
    answers(&proxy, "/main", 200, "main").await;
    answers(&proxy, "/a", 200, "one").await;
    fs::write(folder.join("a.toml"), route("a", "two")).unwrap();
    answers(&proxy, "/a", 200, "two").await;
    fs::write(folder.join("b.toml"), route("b", "new")).unwrap();
    answers(&proxy, "/b", 200, "new").await;
    fs::remove_file(folder.join("b.toml")).unwrap();
    answers(&proxy, "/b", 404, "").await;
    // A fault in one of them keeps the whole as it was, and is told at its place.
    fs::write(folder.join("a.toml"), "[routes.a]\npath = 7\n").unwrap();
    proxy.reload_fails().await;
    proxy.log_says("conf.d/a.toml:2:8").await;
    answers(&proxy, "/a", 200, "two").await;
    // So does a restart: with copies of all files.
    proxy.signal(Signal::TERM);
    proxy.exited().await;
    proxy.start_again().await;
    answers(&proxy, "/a", 200, "two").await;
    fs::write(folder.join("a.toml"), route("a", "three")).unwrap();
    answers(&proxy, "/a", 200, "three").await;
    proxy.finish().await;
}
