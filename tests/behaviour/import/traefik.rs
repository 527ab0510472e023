//! Files of Traefik that are written anew. There is no Traefik to ask on a machine of tests, so the
//! answers are those that its reference promises.

use std::fs;

use super::{ask, echo, sides::imported, started};
use crate::harness::Port;

#[tokio::test]
async fn an_imported_configuration_answers_as_traefik_promises() {
    let (app, api) = (echo("app").await, echo("api").await);
    let port = Port::take();
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path();
    let (listen, app_at, api_at) = (port.address(), app.address(), api.address());
    let dynamic = format!(
        r#"
http:
  routers:
    shop: {{rule: "Host(`shop.example`)", service: app, middlewares: [frame]}}
    api: {{rule: "Host(`shop.example`) && PathPrefix(`/api`)", service: api, middlewares: [strip, tenant]}}
    put: {{rule: "Host(`shop.example`) && PathPrefix(`/api`) && Method(`PUT`)", service: app, middlewares: [old]}}
    admin: {{rule: "Host(`shop.example`) && PathPrefix(`/admin`)", service: app, middlewares: [lan]}}
    staff: {{rule: "Host(`shop.example`) && PathPrefix(`/staff`)", service: app, middlewares: [users]}}
    www: {{rule: "Host(`www.shop.example`)", service: app, middlewares: [bare]}}
    first: {{rule: "Host(`shop.example`) && Path(`/api/first`)", service: app, priority: 1000}}
  middlewares:
    frame: {{headers: {{frameDeny: true, customResponseHeaders: {{X-Powered-By: ""}}}}}}
    strip: {{stripPrefix: {{prefixes: [/api]}}}}
    tenant: {{headers: {{customRequestHeaders: {{X-Tenant: acme}}}}}}
    old: {{replacePathRegex: {{regex: "^/api/(.*)", replacement: "/v2/$1"}}}}
    lan: {{ipAllowList: {{sourceRange: [10.0.0.0/8]}}}}
    users: {{basicAuth: {{users: ["u:$apr1$5OVCKCLZ$zgj6OlvCXwfpVVijELfAh/"]}}}}
    bare: {{redirectRegex: {{regex: "^https?://www.shop.example/(.*)", replacement: "http://shop.example/${{1}}", permanent: true}}}}
  services:
    app: {{loadBalancer: {{servers: [{{url: "http://{app_at}"}}]}}}}
    api: {{loadBalancer: {{passHostHeader: false, servers: [{{url: "http://{api_at}"}}]}}}}
"#
    );
    let fixed = format!(
        "entryPoints: {{web: {{address: \"{listen}\"}}}}\nproviders: {{file: {{filename: dynamic.yml}}}}\n"
    );
    fs::write(folder.join("dynamic.yml"), dynamic).expect("written");
    fs::write(folder.join("traefik.yml"), fixed).expect("written");
    let text = imported(folder, "traefik", "traefik.yml");
    assert_eq!(text.matches("NOT TRANSLATED ").count(), 1, "{text}");
    assert!(!text.contains("zgj6OlvC"), "{text}");
    let proxy = started(&text, listen).await;
    for (method, target, host, wanted) in [
        ("GET", "/", "shop.example", "200 app GET / host=shop.example real= tenant= location= frame=DENY powered= asks=".to_owned()),
        ("GET", "/api/users?x=1", "shop.example", format!("200 api GET /users?x=1 host={api_at} real= tenant=acme location= frame= powered=echo asks=")),
        ("PUT", "/api/users", "shop.example", "200 app PUT /v2/users host=shop.example real= tenant= location= frame= powered=echo asks=".to_owned()),
        ("GET", "/api/first", "shop.example", "200 app GET /api/first host=shop.example real= tenant= location= frame= powered=echo asks=".to_owned()),
        ("GET", "/admin/", "shop.example", "403  location= frame= powered= asks=".to_owned()),
        // There a prefix is any text.
        ("GET", "/administrators", "shop.example", "403  location= frame= powered= asks=".to_owned()),
        // The users stand in the file, so the route is closed.
        ("GET", "/staff/", "shop.example", "403  location= frame= powered= asks=".to_owned()),
        ("GET", "/page?q=1", "www.shop.example", "301  location=page?q=1 frame= powered= asks=".to_owned()),
        ("GET", "/", "other.example", "404  location= frame= powered= asks=".to_owned()),
    ] {
        let told = ask(listen, method, target, &format!("host: {host}"), b"").await;
        assert_eq!(told, wanted, "{method} {target} {host}\n{text}");
    }
    drop(proxy);
}
