//! Manifests of the examples: YAML whose parts fit together, with a configuration that is right and a
//! Role that allows what the proxy asks for. The campaign has them taken by a real server.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::{command, node_packages, run_node_peer};

/// Reads the objects of a manifest; none if the packages are not installed.
async fn objects(file: &str) -> Option<Vec<Value>> {
    let packages = node_packages()?;
    let folder = tempfile::tempdir().unwrap();
    let from = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file);
    let to = folder.path().join("objects.json");
    let paths = [&from, &to].map(|path| path.to_str().unwrap().to_owned());
    run_node_peer(&packages, "manifests.cjs", &paths).await;
    Some(serde_json::from_str(&fs::read_to_string(to).unwrap()).unwrap())
}

/// The only object of a kind.
fn only<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let mut found = objects.iter().filter(|it| it["kind"] == kind);
    let object = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "two of {kind}");
    assert!(object["apiVersion"].is_string(), "{object}");
    object
}

/// Checks the configuration as it would be mounted.
fn checks(config: &str, folder: &Path) {
    fs::write(folder.join("proxy.toml"), config).unwrap();
    let (code, told) = command(folder, &["check", "proxy.toml", "--offline"]);
    assert!(code == Some(0) && !told.contains("warning"), "{told}");
}

#[tokio::test]
async fn the_manifests_of_the_examples_fit_together() {
    for file in [
        "examples/kubernetes/gateway.yaml",
        "examples/kubernetes/sidecar.yaml",
    ] {
        let Some(objects) = objects(file).await else {
            return;
        };
        let name = |kind: &str| only(&objects, kind)["metadata"]["name"].clone();
        let role = only(&objects, "Role");
        assert_eq!(role["rules"][0]["apiGroups"], json!(["discovery.k8s.io"]));
        assert_eq!(role["rules"][0]["resources"], json!(["endpointslices"]));
        assert_eq!(role["rules"][0]["verbs"], json!(["get", "list", "watch"]));
        assert_eq!(role["rules"][1]["resources"], json!(["services"]));
        let binding = only(&objects, "RoleBinding");
        assert_eq!(binding["roleRef"]["name"], name("Role"));
        assert_eq!(binding["subjects"][0]["name"], name("ServiceAccount"));
        let pod = &only(&objects, "Deployment")["spec"]["template"]["spec"];
        assert_eq!(pod["serviceAccountName"], name("ServiceAccount"));
        assert_eq!(pod["volumes"][0]["configMap"]["name"], name("ConfigMap"));
        let containers = pod["containers"].as_array().unwrap();
        let proxy = containers.iter().find(|it| it["name"] == "sluicegate");
        let proxy = proxy.expect("a container of the proxy");
        assert_eq!(
            proxy["args"],
            json!(["--config", "/etc/sluicegate/proxy.toml"])
        );
        assert_eq!(proxy["livenessProbe"]["httpGet"]["path"], "/live");
        assert_eq!(proxy["readinessProbe"]["httpGet"]["path"], "/ready");
        let config = only(&objects, "ConfigMap")["data"]["proxy.toml"]
            .as_str()
            .unwrap();
        // The probes ask where the proxy answers them, and its end has the time that it needs.
        let table: toml::Table = config.parse().unwrap();
        assert_eq!(table["metrics"]["address"].as_str(), Some("0.0.0.0:9090"));
        let drain = &table["proxy"]["drain"];
        let seconds = |key: &str| {
            drain[key]
                .as_str()
                .unwrap()
                .trim_end_matches('s')
                .parse::<u64>()
                .unwrap()
        };
        let grace = pod["terminationGracePeriodSeconds"].as_u64().unwrap();
        assert!(grace > seconds("grace") + seconds("timeout"), "{file}");
        let folder = tempfile::tempdir().unwrap();
        let here = folder.path().display().to_string();
        checks(&config.replace("/var/lib/sluicegate", &here), folder.path());
    }
}
