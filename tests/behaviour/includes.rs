//! `include`: a configuration in several files, each of which is followed.

use std::fs;
use std::os::unix::fs::symlink;

use rustix::process::Signal;

use crate::harness::{Backend, Proxy, Settings, answer, command, eventually};

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

#[tokio::test]
async fn files_that_are_all_gone_at_once_keep_the_configuration_as_it_was() {
    let app = Backend::start(|_| answer("")).await;
    let main = format!("{MAIN}[admin]\naddress = \"$admin\"\ntoken = \"0123456789\"\n");
    let settings = Settings::new(&main).backend("app", &app);
    let folder = settings.folder().join("conf.d");
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("a.toml"), route("a", "one")).unwrap();
    let proxy = settings.start().await;
    answers(&proxy, "/a", 200, "one").await;
    // As a deployment does that replaces the folder.
    let away = proxy.folder().join("away");
    fs::rename(&folder, &away).unwrap();
    proxy.reload_fails().await;
    let what = "include \"conf.d/*.toml\" finds no file any more; the configuration in use has 1";
    proxy.log_says(what).await;
    answers(&proxy, "/a", 200, "one").await;
    fs::write(away.join("a.toml"), route("a", "two")).unwrap();
    fs::rename(&away, &folder).unwrap();
    answers(&proxy, "/a", 200, "two").await;
    // A person may mean it.
    fs::remove_file(folder.join("a.toml")).unwrap();
    proxy.reload_fails().await;
    answers(&proxy, "/a", 200, "two").await;
    let forced = proxy
        .admin(
            "POST",
            "/reload?force=true",
            "authorization: Bearer 0123456789\n",
        )
        .await
        .unwrap();
    assert_eq!(forced.status, 200, "{}", forced.text());
    answers(&proxy, "/a", 404, "").await;
    answers(&proxy, "/main", 200, "main").await;
    proxy.finish().await;
}

#[tokio::test]
async fn files_of_a_config_map_are_followed_through_its_link() {
    let app = Backend::start(|_| answer("")).await;
    let settings = Settings::new(MAIN).backend("app", &app);
    let folder = settings.folder().join("conf.d");
    // As Kubernetes mounts a ConfigMap: files are links into a folder behind a link, which is
    // replaced as a whole.
    let version = |name: &str, files: &[(&str, String)]| {
        fs::create_dir_all(folder.join(name)).unwrap();
        for (file, text) in files {
            fs::write(folder.join(name).join(file), text).unwrap();
        }
        symlink(name, folder.join("..new")).unwrap();
        fs::rename(folder.join("..new"), folder.join("..data")).unwrap();
    };
    version("..1", &[("a.toml", route("a", "one"))]);
    symlink("..data/a.toml", folder.join("a.toml")).unwrap();
    let proxy = settings.start().await;
    answers(&proxy, "/a", 200, "one").await;
    version(
        "..2",
        &[("a.toml", route("a", "two")), ("b.toml", route("b", "new"))],
    );
    symlink("..data/b.toml", folder.join("b.toml")).unwrap();
    answers(&proxy, "/a", 200, "two").await;
    answers(&proxy, "/b", 200, "new").await;
    version("..3", &[("b.toml", route("b", "newer"))]);
    fs::remove_file(folder.join("a.toml")).unwrap();
    answers(&proxy, "/b", 200, "newer").await;
    answers(&proxy, "/a", 404, "").await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_folder_that_is_a_link_is_followed_when_the_link_is_replaced() {
    let app = Backend::start(|_| answer("")).await;
    let settings = Settings::new(MAIN).backend("app", &app);
    let folder = settings.folder().to_owned();
    for name in ["one", "two"] {
        let release = folder.join("releases").join(name);
        fs::create_dir_all(&release).unwrap();
        fs::write(release.join("a.toml"), route("a", name)).unwrap();
    }
    symlink("releases/one", folder.join("conf.d")).unwrap();
    let proxy = settings.start().await;
    answers(&proxy, "/a", 200, "one").await;
    symlink("releases/two", folder.join("next")).unwrap();
    fs::rename(folder.join("next"), folder.join("conf.d")).unwrap();
    answers(&proxy, "/a", 200, "two").await;
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_value_of_the_running_proxy_says_where_it_comes_from() {
    let app = Backend::start(|_| answer("")).await;
    let settings = Settings::new(MAIN)
        .backend("app", &app)
        .variable("BODY", "kept");
    let folder = settings.folder().join("conf.d");
    fs::create_dir(&folder).unwrap();
    let more = "[defaults.routes]\nbody_max = \"1MiB\"\n[routes.a]\npath = \"/a\"\n\
                respond = { body = { env = \"BODY\" } }\n";
    fs::write(folder.join("a.toml"), more).unwrap();
    let proxy = settings.start().await;
    let folder = proxy.folder().to_owned();
    let ask = move |arguments: &str| {
        let arguments: Vec<&str> = arguments.split(' ').collect();
        command(&folder, &arguments)
    };
    for live in ["", " --live"] {
        let (status, told) = ask(&format!("config routes.a{live}"));
        assert_eq!(status, Some(0), "{told}");
        let line = |place: &str| {
            let mut lines = told
                .lines()
                .filter(|line| line.trim_start().starts_with(place));
            lines
                .next()
                .unwrap_or_else(|| panic!("{place}: {told}"))
                .to_owned()
        };
        assert!(
            line("routes.a.body_max").ends_with("conf.d/a.toml:2, [defaults.routes]"),
            "{told}"
        );
        assert!(line("routes.a.path").ends_with("conf.d/a.toml:4"), "{told}");
        assert!(
            line("routes.a.timeouts.total").ends_with("# built-in default"),
            "{told}"
        );
        let body = line("routes.a.respond.body");
        assert!(
            body.contains("\"***\"") && body.ends_with(", environment variable BODY"),
            "{told}"
        );
        assert!(
            !told.contains("kept") && !told.contains("routes.main"),
            "{told}"
        );
        let (status, _) = ask(&format!("config routes.none{live}"));
        assert_eq!(status, Some(1));
    }
    let (status, told) = ask("config --written --format json");
    let told: serde_json::Value = serde_json::from_str(&told).unwrap();
    assert_eq!((status, &told["left_off"]), (Some(0), &0.into()));
    proxy.finish().await;
}
