//! Authentication with the programs that people use for it.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::harness::{Backend, Settings, answer, node_packages, packages, run_node_peer, run_peer};

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

/// Starts the proxy with the keys that a library has written, and sends each of its tokens.
async fn accepts_tokens(settings: Settings) {
    let proxy = settings.start().await;
    let tokens = fs::read_to_string(proxy.folder().join("tokens")).unwrap();
    assert!(tokens.lines().count() >= 13, "{tokens}");
    for token in tokens.lines() {
        let lines = format!("authorization: Bearer {token}\n");
        let got = proxy.request("GET", "/", &lines, b"").await;
        assert_eq!(got.status, 200, "{token}\n{}", proxy.log());
        // A signature that begins otherwise.
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let first = if signature.starts_with('A') { "B" } else { "A" };
        let lines = format!(
            "authorization: Bearer {signed}.{first}{}\n",
            &signature[1..]
        );
        assert_eq!(proxy.request("GET", "/", &lines, b"").await.status, 401);
    }
    proxy.finish().await;
}

fn with_tokens(app: &Backend) -> Settings {
    let text = r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [routes.all.auth.jwt]
        jwks = { file = "jwks.json" }
        issuer = "https://login.example"
        audience = ["shop"]
        algorithms = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"]
        [pools.app]
        endpoints = ["$app"]
    "#;
    Settings::new(text).backend("app", app)
}

#[tokio::test]
async fn tokens_of_pyjwt_are_accepted_in_every_algorithm() {
    let Some(packages) = packages() else { return };
    let app = Backend::start(|_| answer("fine")).await;
    let settings = with_tokens(&app);
    let folder = settings.folder().display().to_string();
    run_peer(&packages, "jwt_tokens.py", &[folder]).await;
    accepts_tokens(settings).await;
}

#[tokio::test]
async fn tokens_of_jose_are_accepted_in_every_algorithm() {
    let Some(packages) = node_packages() else {
        return;
    };
    let app = Backend::start(|_| answer("fine")).await;
    let settings = with_tokens(&app);
    let folder = settings.folder().display().to_string();
    run_node_peer(&packages, "jose_tokens.cjs", &[folder]).await;
    accepts_tokens(settings).await;
}
