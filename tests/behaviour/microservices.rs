//! The example with two services in Consul: its story is told to the end.

use std::path::Path;
use std::process::{Command, Stdio};

#[tokio::test]
async fn the_story_of_the_microservices_is_told_to_the_end() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/microservices/run");
    let mut command = Command::new("bash");
    command
        .arg(script)
        .env("SLUICEGATE", crate::harness::binary())
        .stdin(Stdio::null());
    let told = tokio::task::spawn_blocking(move || command.output()).await;
    let told = told.expect("a thread").expect("bash runs");
    let text = String::from_utf8_lossy(&told.stdout);
    let faults = String::from_utf8_lossy(&told.stderr);
    assert!(told.status.success(), "{text}\n{faults}");
    assert!(text.ends_with("All of it happened.\n"), "{text}");
}
