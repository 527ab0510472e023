//! ACLs of a real Consul agent: a token that is refused, one that is right, and one that is replaced
//! in its file.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::discovery::{Load, becomes, pool};
use crate::harness::{Backend, Consul, Settings, eventually, identity};
use crate::registration::{registered, sidecar};

/// A new token with these rights.
pub(super) async fn token(agent: &Consul, name: &str, rules: &str) -> String {
    let policy = json!({ "Name": name, "Rules": rules });
    agent.done("/v1/acl/policy", &policy.to_string()).await;
    let token = json!({ "Description": name, "Policies": [{ "Name": name }] });
    let made = agent.ask("PUT", "/v1/acl/token", &token.to_string()).await;
    let made: Value = serde_json::from_str(&made.expect("an answer").text()).expect("JSON");
    made["SecretID"].as_str().expect("the token").to_owned()
}

/// Makes the token of this name invalid.
pub(super) async fn revoke(agent: &Consul, name: &str) {
    let answer = agent
        .ask("GET", "/v1/acl/tokens", "")
        .await
        .expect("an answer");
    let tokens: Value = serde_json::from_str(&answer.text()).expect("JSON");
    let mut tokens = tokens.as_array().expect("a list").iter();
    let found = tokens.find(|it| it["Description"] == name);
    let id = found.expect("it is listed")["AccessorID"].clone();
    let path = format!("/v1/acl/token/{}", id.as_str().expect("an id"));
    let gone = agent.ask("DELETE", &path, "").await;
    assert_eq!(gone.expect("an answer").status, 200);
}

#[tokio::test]
async fn a_token_is_refused_or_right_and_may_be_replaced_in_its_file() {
    let agent = Consul::start_with_acl().await;
    let [one, two] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
    ];
    agent.register("one", &one, json!({})).await;
    let rules = r#"service "orders" { policy = "read" } node_prefix "" { policy = "read" }"#;
    let right = token(&agent, "reader", rules).await;
    let settings = Settings::new(
        r#"
        [proxy]
        workers = 1
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [pools.app]
        discover = { consul = { address = "http://$consul", service = "orders", token = { file = "consul.token" } } }
        "#,
    );
    let settings = settings
        .backend("one", &one)
        .backend("two", &two)
        .address("consul", agent.address());
    let file = settings.folder().join("consul.token");
    let unknown = "11111111-2222-3333-4444-555555555555";
    std::fs::write(&file, unknown).expect("written");
    let proxy = settings.start().await;
    eventually("the refusal is told", || async {
        let error = pool(&proxy).await["discovery"]["error"].clone();
        error.as_str()?.contains("403").then_some(())
    })
    .await;
    std::fs::write(&file, &right).expect("written");
    becomes(&proxy, &[&one]).await;
    let load = Load::start(&proxy, 2).await;
    load.goes_on(20).await;
    // Another one takes its place, and the first is not valid any more.
    let next = token(&agent, "next", rules).await;
    std::fs::write(&file, &next).expect("written");
    proxy.generation_passes(2.0).await;
    revoke(&agent, "reader").await;
    agent.register("two", &two, json!({})).await;
    becomes(&proxy, &[&one, &two]).await;
    load.goes_on(50).await;
    load.end().await;
    assert!(pool(&proxy).await["discovery"]["error"].is_null());
    for secret in [unknown, &*right, &*next] {
        assert!(!proxy.log().contains(secret));
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_registration_needs_a_token_that_may_write_its_service() {
    let agent = Consul::start_with_acl().await;
    let app = Backend::start(identity("app")).await;
    let reader = r#"service "orders" { policy = "read" } node_prefix "" { policy = "read" }"#;
    let reader = token(&agent, "reader", reader).await;
    let writer = token(&agent, "writer", r#"service "orders" { policy = "write" }"#).await;
    let register = r#"{ consul = { address = "http://$consul", service = "orders", id = "one", token = { file = "consul.token" } } }"#;
    let settings = Settings::new(&sidecar(register))
        .backend("app", &app)
        .address("consul", agent.address());
    let file = settings.folder().join("consul.token");
    std::fs::write(&file, &reader).expect("written");
    let mut proxy = settings.start().await;
    let entry = registered(&proxy, "failed").await;
    assert!(
        entry["error"].as_str().expect("the error").contains("403"),
        "{entry}"
    );
    std::fs::write(&file, &writer).expect("written");
    registered(&proxy, "registered").await;
    proxy.signal(Signal::TERM);
    eventually("it is out", || async {
        let answer = agent.ask("GET", "/v1/agent/service/one", "").await?;
        (answer.status == 404).then_some(())
    })
    .await;
    proxy.exited().await;
    assert!(!proxy.log().contains(&*writer));
}
