//! Editors with the schema of `proxy.toml`: a checker and a language server of others, as people have them in theirs.
//!
//! `tests/run` installs both and sets `PEERS_PATH`; without it the tests say so and pass.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::Instant;

use super::{GOOD, run};

/// A program among the Python packages, if they are installed.
fn program(name: &str) -> Option<PathBuf> {
    let packages = std::env::var_os("PEERS_PATH").unwrap_or_default();
    let program = Path::new(&packages).join("bin").join(name);
    if !program.exists() {
        eprintln!("passed over: {name} is not in PEERS_PATH");
        return None;
    }
    Some(program)
}

/// A folder with the schema.
fn folder() -> TempDir {
    let folder = TempDir::new().unwrap();
    let outcome = run(GOOD, &["schema"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    fs::write(folder.path().join(SCHEMA), outcome.stdout).unwrap();
    folder
}

/// All files that users start from, and those of the tests that are right.
fn good_files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["tests/config/valid", "examples/config"].map(|it| root.join(it));
    let entries = folders.into_iter().flat_map(|it| fs::read_dir(it).unwrap());
    let mut files: Vec<_> = entries.map(|it| it.unwrap().path()).collect();
    files.extend(["proxy.toml", "examples/microservices/proxy.toml"].map(|it| root.join(it)));
    files.retain(|file| file.extension().is_some_and(|it| it == "toml"));
    assert!(files.len() > 15);
    files
}

/// Mistakes that an editor marks: what to replace in the good file, and a word of each of the two about it.
const MISTAKES: [(&str, &str, [&str; 2]); 4] = [
    ("path_prefix", "path_prefx", ["path_prefx"; 2]),
    (
        "path_prefix",
        "priority = \"high\"\npath_prefix",
        ["integer", "Integer"],
    ),
    (
        "address = ",
        "underscores = \"maybe\"\naddress = ",
        ["maybe"; 2],
    ),
    (
        "pool = \"orders\"",
        "pool = \"orders\"\nrespond = {}",
        ["oneOf", "must be matched"],
    ),
];

fn output(command: &mut Command) -> (bool, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().unwrap();
    let text = String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr);
    (status.success(), text)
}

#[test]
fn taplo_takes_every_good_file_and_marks_mistakes() {
    let Some(taplo) = program("taplo") else {
        return;
    };
    let folder = folder();
    let schema = format!("file://{}", folder.path().join(SCHEMA).display());
    let lint = |files: &[PathBuf]| {
        let mut command = Command::new(&taplo);
        command.args(["lint", "--no-auto-config", "--schema", &schema]);
        output(command.args(files).current_dir(folder.path()))
    };
    let good = lint(&good_files());
    assert!(good.0, "{}", good.1);
    let file = folder.path().join("proxy.toml");
    for (good, bad, about) in MISTAKES {
        fs::write(&file, GOOD.replacen(good, bad, 1)).unwrap();
        let (fits, said) = lint(std::slice::from_ref(&file));
        assert!(!fits && said.contains(about[0]), "{bad}: {said}");
    }
}

#[test]
fn a_language_server_takes_every_good_file_and_marks_mistakes() {
    let Some(tombi) = program("tombi") else {
        return;
    };
    let folder = folder();
    let files: Vec<PathBuf> = good_files()
        .into_iter()
        .enumerate()
        .map(|(at, good)| {
            let file = folder.path().join(format!("{at}.toml"));
            fs::write(&file, with_schema(&fs::read_to_string(good).unwrap())).unwrap();
            file
        })
        .collect();
    let lint = |files: &[PathBuf]| {
        let mut command = Command::new(&tombi);
        command
            .args(["lint", "--offline", "--no-cache"])
            .args(files);
        output(command.current_dir(folder.path()))
    };
    let (fits, said) = lint(&files);
    assert!(fits, "{said}");
    for (good, bad, about) in MISTAKES {
        fs::write(&files[0], with_schema(&GOOD.replacen(good, bad, 1))).unwrap();
        let (fits, said) = lint(&files[..1]);
        assert!(!fits && said.contains(about[1]), "{bad}: {said}");
    }
}

#[test]
fn an_editor_completes_keys_and_words_with_what_they_mean() {
    let Some(tombi) = program("tombi") else {
        return;
    };
    let folder = folder();
    let mut editor = Editor::start(&tombi, folder.path());
    // The cursor is where the bar is; all of these are offered, and none of those.
    for (text, offered, absent) in [
        (
            "|",
            &["listeners", "routes", "pools", "defaults"][..],
            &["path"][..],
        ),
        (
            "[listeners.web]\n|",
            &["address", "tls", "protocols"],
            &["pool"],
        ),
        (
            "[listeners.web]\nunderscores = |",
            &["\"drop\"", "\"allow\"", "\"refuse\""],
            &["\"json\""],
        ),
        (
            "[routes.shop]\n|",
            &["path_prefix", "pool", "rate_limit", "retry"],
            &["endpoints"],
        ),
        (
            "[routes.shop]\nretry = { | }",
            &["attempts", "backoff", "on"],
            &["pool"],
        ),
        (
            "[pools.app]\nendpoints = []\n|",
            &["picker", "health", "limits"],
            &["endpoints"],
        ),
        (
            "[pools.app]\npicker = |",
            &["\"least_requests\"", "\"peak_ewma\"", "ring_hash"],
            &["\"json\""],
        ),
        (
            "[pools.app.health]\n|",
            &["http", "interval", "rise"],
            &["picker"],
        ),
        (
            "[access_log]\nformat = |",
            &["\"json\"", "\"ecs\"", "\"combined\""],
            &["\"text\""],
        ),
    ] {
        let items = editor.completions(text, offered[0]);
        let labels: Vec<&str> = items
            .iter()
            .map(|it| it["label"].as_str().unwrap())
            .collect();
        for word in offered {
            assert!(labels.contains(word), "{word} after {text:?}: {labels:?}");
        }
        for word in absent {
            assert!(!labels.contains(word), "{word} after {text:?}: {labels:?}");
        }
        are_described(&items, offered, text);
    }
}

/// Asserts that keys come with their description.
fn are_described(items: &[Value], offered: &[&str], text: &str) {
    for item in items {
        let label = item["label"].as_str().unwrap();
        let told = item["documentation"]["value"].as_str().unwrap_or_default();
        let is_key = offered.contains(&label) && !label.starts_with('"');
        assert!(!is_key || told.len() > 20, "{text:?}: {item:#}");
    }
}

#[test]
fn an_editor_shows_what_a_key_means() {
    let Some(tombi) = program("tombi") else {
        return;
    };
    let folder = folder();
    let mut editor = Editor::start(&tombi, folder.path());
    for (text, told) in [
        (
            "[pools.app]\npic|ker = \"random\"",
            ["Picker: ", "weighted_round_robin"],
        ),
        (
            "[listeners.web]\naddress = \"127.0.0.1:1\"\nunder|scores = \"drop\"",
            ["header", "drop"],
        ),
        (
            "[routes.shop]\npool = \"app\"\n[routes.shop.retry]\nattem|pts = 3",
            ["in all", "2"],
        ),
    ] {
        let shown = editor.hover(text);
        for told in told {
            assert!(shown.contains(told), "{told} about {text:?}: {shown}");
        }
    }
}

/// A language server, and the editor that talks to it.
struct Editor {
    child: Child,
    to: ChildStdin,
    from: mpsc::Receiver<Value>,
    folder: PathBuf,
    last_id: u64,
    files: u64,
}

impl Editor {
    fn start(program: &Path, folder: &Path) -> Self {
        let mut command = Command::new(program);
        command
            .args(["lsp", "--offline", "--no-cache"])
            .current_dir(folder);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().unwrap();
        let (to, mut from) = (
            child.stdin.take().unwrap(),
            BufReader::new(child.stdout.take().unwrap()),
        );
        let (tell, messages) = mpsc::channel();
        std::thread::spawn(move || {
            while let Some(message) = read(&mut from) {
                if tell.send(message).is_err() {
                    return;
                }
            }
        });
        let folder = folder.to_owned();
        let mut editor = Self {
            child,
            to,
            from: messages,
            folder,
            last_id: 0,
            files: 0,
        };
        let root = editor.uri("");
        let folders = json!([{ "uri": root, "name": "proxy" }]);
        let hello = json!({ "processId": null, "rootUri": root, "capabilities": {}, "workspaceFolders": folders });
        editor.ask("initialize", &hello);
        editor.send(&json!({ "jsonrpc": "2.0", "method": "initialized", "params": {} }));
        editor
    }

    fn uri(&self, file: &str) -> String {
        format!("file://{}/{file}", self.folder.display())
    }

    fn send(&mut self, message: &Value) {
        let text = message.to_string();
        write!(self.to, "Content-Length: {}\r\n\r\n{text}", text.len()).unwrap();
        self.to.flush().unwrap();
    }

    fn ask(&mut self, method: &str, params: &Value) -> Value {
        self.last_id += 1;
        let id = self.last_id;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        loop {
            let message = self.from.recv_timeout(PATIENCE).unwrap();
            if message.get("method").is_none() && message["id"] == id {
                return message["result"].clone();
            }
            // A request of the server: there is nothing to say.
            if message.get("method").is_some() && message.get("id").is_some() {
                self.send(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": null }));
            }
        }
    }

    /// Opens a new file with this text, and returns its place with that of the bar in it.
    fn opened(&mut self, text: &str) -> Value {
        let text = with_schema(text);
        let (before, after) = text.split_once('|').unwrap();
        let position = json!({
            "line": before.matches('\n').count(),
            "character": before.rsplit('\n').next().unwrap().len(),
        });
        self.files += 1;
        let file = format!("{}.toml", self.files);
        let text = format!("{before}{after}\n");
        fs::write(self.folder.join(&file), &text).unwrap();
        let uri = self.uri(&file);
        let document = json!({ "uri": uri, "languageId": "toml", "version": 1, "text": text });
        let opened = json!({ "textDocument": document });
        self.send(&json!({ "jsonrpc": "2.0", "method": "textDocument/didOpen", "params": opened }));
        json!({ "textDocument": { "uri": uri }, "position": position })
    }

    /// The offers at the bar, once the server has read the schema: then it offers this word.
    fn completions(&mut self, text: &str, word: &str) -> Vec<Value> {
        let place = self.opened(text);
        let begun = Instant::now();
        loop {
            let offered = self.ask("textDocument/completion", &place);
            let items = offered.as_array().or_else(|| offered["items"].as_array());
            let items = items.cloned().unwrap_or_default();
            if items.iter().any(|it| it["label"] == word) || begun.elapsed() > PATIENCE {
                return items;
            }
        }
    }

    fn hover(&mut self, text: &str) -> String {
        let place = self.opened(text);
        let begun = Instant::now();
        loop {
            let shown = self.ask("textDocument/hover", &place);
            let shown = shown["contents"]["value"].as_str().unwrap_or_default();
            if shown.contains("Schema: ") || begun.elapsed() > PATIENCE {
                return shown.to_owned();
            }
        }
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a message of the language server protocol.
fn read(from: &mut BufReader<ChildStdout>) -> Option<Value> {
    let mut length = 0;
    loop {
        let mut line = String::new();
        if from.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end().split_once(": ") {
            Some((name, value)) if name.eq_ignore_ascii_case("content-length") => {
                length = value.parse().ok()?;
            }
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    from.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}

fn with_schema(text: &str) -> String {
    format!("#:schema ./{SCHEMA}\n{text}")
}

const SCHEMA: &str = "proxy.schema.json";
const PATIENCE: Duration = Duration::from_secs(20);
