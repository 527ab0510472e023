//! Lines of the access log reach their file or syslog server whole, whatever happens to it.

use std::{collections::HashSet, fs, time::Duration};

use rustix::process::Signal;
use serde_json::Value;
use tokio::{net::UnixDatagram, time::timeout};

use crate::harness::{Backend, Client, Settings, eventually, identity, within};

const ALL: &str = r#"
    [proxy]
    workers = 2
    [access_log]
    path = "own.log"
    rotate = { size = "64KiB", keep = 1000 }
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    [pools.app]
    endpoints = ["$app"]
"#;

#[tokio::test(flavor = "multi_thread")]
async fn lines_stay_whole_and_single_through_rotation_reopening_and_an_upgrade() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let folder = proxy.folder().to_owned();
    let long = format!("user-agent: {}", "x".repeat(2000));
    let mut ids = HashSet::new();
    let ask = async |count: usize, ids: &mut HashSet<String>| {
        let mut client = Client::connect(proxy.address("web")).await;
        for _ in 0..count {
            let answer = client.request("GET", "/", &long, b"").await;
            assert_eq!(answer.status, 200);
            ids.insert(answer.field("x-request-id").to_owned());
        }
    };
    ask(100, &mut ids).await;
    // As logrotate does.
    let _ = fs::rename(folder.join("own.log"), folder.join("own.log.moved"));
    proxy.signal(Signal::USR1);
    ask(50, &mut ids).await;
    proxy.upgrade().await;
    ask(100, &mut ids).await;
    eventually("each request has one line, and all are whole", || async {
        let files = fs::read_dir(&folder).unwrap();
        let files = files.map(|entry| entry.unwrap().path());
        let logs = files.filter(|path| {
            path.file_name()
                .unwrap()
                .to_string_lossy()
                .contains("own.log")
        });
        // A file may be renamed at this moment.
        let texts: Option<Vec<String>> = logs.map(|path| fs::read_to_string(path).ok()).collect();
        let texts = texts?;
        let lines: Vec<&str> = texts.iter().flat_map(|text| text.lines()).collect();
        // A batch may be in the middle of its way.
        let told: Vec<Value> = lines
            .iter()
            .map(|line| serde_json::from_str(line).ok())
            .collect::<Option<_>>()?;
        let mut found = HashSet::new();
        for line in &told {
            let id = line["request_id"].as_str().unwrap();
            if !found.insert(id.to_owned()) {
                return None;
            }
        }
        (texts.len() > 4 && ids.is_subset(&found)).then_some(())
    })
    .await;
    proxy.all_end().await;
}

#[tokio::test]
async fn syslog_gets_a_message_for_each_request_and_its_absence_delays_none() {
    let app = Backend::start(identity("app")).await;
    let text = ALL.replace(
        "path = \"own.log\"",
        "syslog = { address = \"unix:log.sock\", app = \"edge\" }",
    );
    let text = text.replace(
        "rotate = { size = \"64KiB\", keep = 1000 }",
        "format = \"ecs\"",
    );
    let proxy = Settings::new(&text).backend("app", &app).start().await;
    let mut client = Client::connect(proxy.address("web")).await;
    // Nobody is there yet.
    let early = async {
        for _ in 0..100 {
            assert_eq!(client.get("/early").await.status, 200);
        }
    };
    within("100 requests", early).await;
    let dropped = "sluicegate_access_log_lines_dropped_total";
    eventually("the loss is counted", || async {
        (proxy.metric(dropped, &[]).await > 0.0).then_some(())
    })
    .await;
    let server = UnixDatagram::bind(proxy.folder().join("log.sock")).unwrap();
    let mut buffer = vec![0; 64 * 1024];
    let told = within("a message", async {
        loop {
            client.get("/late").await;
            let read = server.recv(&mut buffer);
            if let Ok(read) = timeout(Duration::from_millis(300), read).await {
                break read.unwrap();
            }
        }
    })
    .await;
    assert!(told > 100);
    client.get("/last").await;
    let text = within("the last line", async {
        loop {
            let length = server.recv(&mut buffer).await.unwrap();
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.contains("/last") {
                break text;
            }
        }
    })
    .await;
    assert!(text.starts_with("<190>1 20"), "{text}");
    let (head, line) = text.split_once(" access - ").unwrap();
    assert!(head.contains(" edge "), "{head}");
    let line: Value = serde_json::from_str(line).unwrap();
    assert_eq!(line["url.original"], "/last");
    assert_eq!(line["http.response.status_code"], 200);
    proxy.all_end().await;
}
