//! Authentication with the programs that people use for it.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::{Backend, Settings, answer};

/// Runs a program in a folder; returns its standard output.
fn run(folder: &Path, program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .output();
    let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

/// Runs a program on another thread, so that endpoints can answer meanwhile.
async fn run_beside(folder: &Path, program: &'static str, arguments: &[&str]) -> String {
    let folder = folder.to_owned();
    let arguments: Vec<String> = arguments.iter().map(|it| (*it).to_owned()).collect();
    let running = tokio::task::spawn_blocking(move || {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        run(&folder, program, &arguments)
    });
    running.await.unwrap()
}

#[tokio::test]
async fn curl_gets_in_with_what_htpasswd_and_openssl_have_written() {
    let app = Backend::start(|_| answer("fine")).await;
    let text = r#"
        [listeners.web]
        address = "$web"
        [routes.basic]
        path = "/basic"
        pool = "app"
        auth = { basic = { file = "users" } }
        [routes.key]
        path = "/key"
        pool = "app"
        auth = { api_key = { header = "x-api-key", file = "keys" } }
        [pools.app]
        endpoints = ["$app"]
    "#;
    let settings = Settings::new(text).backend("app", &app);
    let folder = settings.folder();
    run(
        folder,
        "htpasswd",
        &["-cbB", "-C", "5", "users", "bcrypt", "pass:wörd"],
    );
    for (scheme, user) in [
        ("-2", "sha256"),
        ("-5", "sha512"),
        ("-m", "apr1"),
        ("-s", "sha1"),
    ] {
        run(
            folder,
            "htpasswd",
            &["-b", scheme, "users", user, "pass:wörd"],
        );
    }
    let openssl = run(folder, "openssl", &["passwd", "-6", "pass:wörd"]);
    let users = fs::read_to_string(folder.join("users")).unwrap();
    fs::write(folder.join("users"), format!("{users}openssl:{openssl}")).unwrap();
    // As the manual says.
    run(
        folder,
        "sh",
        &[
            "-c",
            r#"echo "mobile sha256:$(printf %s "my-key" | sha256sum | cut -d' ' -f1)" >> keys"#,
        ],
    );
    let proxy = settings.start().await;
    let basic = format!("http://{}/basic", proxy.address("web"));
    let key = format!("http://{}/key", proxy.address("web"));
    let status = ["-s", "-o", "/dev/null", "-w", "%{http_code}"];
    for user in ["bcrypt", "sha256", "sha512", "apr1", "sha1", "openssl"] {
        for (password, expected) in [("pass:wörd", "200"), ("pass:word", "401")] {
            let user = format!("{user}:{password}");
            let arguments = [&status[..], &["-u", &user, &basic]].concat();
            let got = run_beside(proxy.folder(), "curl", &arguments).await;
            assert_eq!(got, expected, "{user}");
        }
    }
    for (sent, expected) in [("x-api-key: my-key", "200"), ("x-api-key: mobile", "401")] {
        let arguments = [&status[..], &["-H", sent, &key]].concat();
        let got = run_beside(proxy.folder(), "curl", &arguments).await;
        assert_eq!(got, expected, "{sent}");
    }
    proxy.finish().await;
}
