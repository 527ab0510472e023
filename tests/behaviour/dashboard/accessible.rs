//! People who use a keyboard, a screen reader or large contrast can use every view: as far as
//! axe-core can tell, in both languages, both schemes and both widths.

use std::{fs, path::Path};

use serde_json::Value;

use super::start::{go, page, start};
use crate::harness::{Chromium, Screen, node_packages};

const VIEWS: [&str; 6] = [
    "overview",
    "rollouts",
    "events",
    "requests",
    "explain",
    "connections",
];

#[tokio::test]
async fn every_view_is_without_faults_that_axe_finds() {
    let Some(packages) = node_packages() else {
        return;
    };
    let Ok(axe) = fs::read_to_string(Path::new(&packages).join("node_modules/axe-core/axe.min.js"))
    else {
        eprintln!("passed over: axe-core is not in NODE_PEERS_PATH");
        return;
    };
    let (proxy, _a, _b) = start().await;
    for path in ["/", "/away"] {
        proxy.get(path).await;
    }
    let mut faults = Vec::new();
    for (language, screen) in [("en", Screen::Desk), ("zh-CN", Screen::Phone)] {
        let Some(mut browser) = page(&proxy, "", language, screen).await else {
            return;
        };
        browser.evaluate(&format!("{axe}; 0")).await;
        for view in VIEWS {
            go(&mut browser, view).await;
            for scheme in ["light", "dark"] {
                browser.scheme(scheme).await;
                faults.extend(of_view(&mut browser, &format!("{language} {view} {scheme}")).await);
            }
        }
        // The dialog for the token.
        browser.click("#token-button").await;
        browser.until("document.querySelector('#token').open").await;
        faults.extend(of_view(&mut browser, &format!("{language} token")).await);
        browser.has_no_faults().await;
    }
    assert!(faults.is_empty(), "{faults:#?}");
    proxy.finish().await;
}

/// Faults that axe finds in what is shown now.
async fn of_view(browser: &mut Chromium, place: &str) -> Vec<String> {
    let run = "window.axeFaults = null; axe.run({ resultTypes: ['violations'] }).then((it) => { \
               window.axeFaults = JSON.stringify(it.violations.map((fault) => \
               [fault.id, fault.help, fault.nodes.slice(0, 3).map((node) => node.html)])); }); 0";
    browser.evaluate(run).await;
    browser.until("window.axeFaults != null").await;
    let found = browser.evaluate("window.axeFaults").await;
    let found: Vec<Value> = serde_json::from_str(found.as_str().unwrap()).unwrap();
    found
        .into_iter()
        .map(|fault| format!("{place}: {fault}"))
        .collect()
}
