//! A file that somebody writes again and again is read all the same.

use std::{fs, path::Path, time::Duration};

use serde_json::json;

use crate::discovery::{at, becomes, replace, text};
use crate::harness::{Backend, Settings, answer, eventually, identity};

/// Does this every 250 ms, with the number of the round, until it is dropped.
struct Writing(tokio::task::JoinHandle<()>);

impl Writing {
    fn start(folder: &Path, write: impl Fn(&Path, usize) + Send + 'static) -> Self {
        let folder = folder.to_owned();
        Self(tokio::spawn(async move {
            for round in 1.. {
                write(&folder, round);
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        }))
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[tokio::test]
async fn a_list_that_never_comes_to_rest_is_followed() {
    let [one, two] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
    ];
    let settings = Settings::new(&text(""));
    let folder = settings.folder().to_owned();
    replace(&folder, &json!([at(&one)]));
    let proxy = settings.start().await;
    becomes(&proxy, &[&one]).await;
    let [first, second] = [at(&one), at(&two)];
    let writing = Writing::start(&folder, move |folder, round| {
        let labels = json!({ "round": round.to_string() });
        replace(
            folder,
            &json!([first, { "address": second, "labels": labels }]),
        );
    });
    becomes(&proxy, &[&one, &two]).await;
    drop(writing);
    proxy.finish().await;
}

#[tokio::test]
async fn the_configuration_and_a_file_that_it_names_are_followed_without_a_rest() {
    let app = Backend::start(|_| answer("app")).await;
    let text = r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        path_prefix = "/app"
        pool = "app"
        [pools.app]
        endpoints = ["$app"]
        [defaults.listeners]
        error_pages = { "404" = { file = "lost.html" } }
    "#;
    let settings = Settings::new(text).backend("app", &app);
    let folder = settings.folder().to_owned();
    fs::write(folder.join("lost.html"), "first").unwrap();
    let proxy = settings.start().await;
    assert_eq!(proxy.get("/lost").await.text(), "first");
    let writing = Writing::start(&folder, |folder, round| {
        fs::write(folder.join("lost.new"), "again ".repeat(round)).unwrap();
        fs::rename(folder.join("lost.new"), folder.join("lost.html")).unwrap();
    });
    eventually("the page is another one", || async {
        let page = proxy.get("/lost").await.text();
        page.starts_with("again").then_some(())
    })
    .await;
    drop(writing);
    let before = proxy.generation().await;
    let whole = fs::read_to_string(folder.join("proxy.toml")).unwrap();
    let writing = Writing::start(&folder, move |folder, round| {
        let text = format!("{whole}\n[routes.r{round}]\npath = \"/r\"\npool = \"app\"\n");
        fs::write(folder.join("proxy.new"), text).unwrap();
        fs::rename(folder.join("proxy.new"), folder.join("proxy.toml")).unwrap();
    });
    eventually("a later configuration is in use", || async {
        let answer = proxy.get("/r").await;
        (answer.status == 200 && proxy.generation().await > before).then_some(())
    })
    .await;
    drop(writing);
    proxy.finish().await;
}
