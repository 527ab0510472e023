//! Unix sockets serve where ports do.

use crate::harness::{Backend, Settings, eventually, identity};

#[tokio::test]
async fn two_proxies_meet_at_a_unix_socket() {
    let app = Backend::start(identity("app")).await;
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("inner.sock");
    let inner = |body: &str| {
        format!(
            r#"
            [listeners.inner]
            address = "unix:{}"
            [routes.all]
            {body}
            [pools.app]
            endpoints = ["$app"]
            "#,
            socket.display()
        )
    };
    let mut second = Settings::new(&inner("pool = \"app\""))
        .backend("app", &app)
        .start()
        .await;
    let first = Settings::new(&format!(
        r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "inner"
        [pools.inner]
        endpoints = ["unix:{}"]
        "#,
        socket.display()
    ))
    .start()
    .await;
    let mut client = first.client().await;
    for _ in 0..3 {
        let answer = client.request("POST", "/x", "", b"body").await;
        assert_eq!((answer.status, answer.text().as_str()), (200, "app"));
    }
    assert_eq!(app.seen()[0].body, b"body");
    let via = app.seen()[0].fields.all("via").join(", ");
    assert_eq!(via.matches("sluicegate").count(), 2, "{via}");
    // The socket stays when its listener stays.
    second
        .reload(&inner("respond = { status = 200, body = \"new\" }"))
        .await;
    assert_eq!(client.get("/").await.text(), "new");
    second.signal(rustix::process::Signal::TERM);
    second.exited().await;
    eventually("the file of the socket is gone", || async {
        (!socket.exists()).then_some(())
    })
    .await;
    first.finish().await;
}
