//! A real browser without a screen, driven over its debugging pipe (Chrome DevTools Protocol).
//!
//! `tests/run` installs Chromium; where it is missing the test says so and passes.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::unix::pipe::{Receiver, Sender};

use super::eventually::within;
use super::grpc_web::from_base64;
use super::peer::bounded;

const ARRIVAL_LOOKS: usize = 1500;
const ARRIVAL_PAUSE: Duration = Duration::from_millis(20);

/// A browser with one page. Ended on drop.
pub(crate) struct Chromium {
    child: Child,
    to: Sender,
    from: Receiver,
    read: Vec<u8>,
    messages: VecDeque<Value>,
    session: Option<String>,
    last_id: u64,
    /// Exceptions and errors of the page, violations of its policy.
    faults: Vec<String>,
    _folder: TempDir,
}

/// Size of a screen.
#[derive(Clone, Copy)]
pub(crate) enum Screen {
    Desk,
    Phone,
}

impl Chromium {
    /// Starts one for a reader of this language; `None` when Chromium is not installed.
    pub(crate) async fn start(language: &str, screen: Screen) -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder for the browser");
        let mut command = bounded("sh");
        // The browser reads commands from descriptor 3 and writes to 4.
        command.args([
            "-c",
            "exec chromium \"$@\" 3<&0 4>&1 0</dev/null 1>/dev/null 2>&1",
            "sh",
        ]);
        command.args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-extensions",
            "--no-proxy-server",
            "--hide-scrollbars",
            "--remote-debugging-pipe",
        ]);
        command.arg(format!("--user-data-dir={}", folder.path().display()));
        command.env("HOME", folder.path());
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("timeout");
        let to = OwnedFd::from(child.stdin.take().expect("a pipe"));
        let from = OwnedFd::from(child.stdout.take().expect("a pipe"));
        let mut browser = Self {
            child,
            to: Sender::from_owned_fd(to).expect("a pipe"),
            from: Receiver::from_owned_fd(from).expect("a pipe"),
            read: Vec::new(),
            messages: VecDeque::new(),
            session: None,
            last_id: 0,
            faults: Vec::new(),
            _folder: folder,
        };
        let Some(page) = browser
            .try_ask("Target.createTarget", json!({ "url": "about:blank" }))
            .await
        else {
            eprintln!("passed over: chromium is not installed; tests/run installs it");
            return None;
        };
        let attach = json!({ "targetId": page["targetId"], "flatten": true });
        let attached = browser.ask("Target.attachToTarget", attach).await;
        browser.session = attached["sessionId"].as_str().map(str::to_owned);
        for domain in ["Page.enable", "Runtime.enable", "Log.enable"] {
            browser.ask(domain, json!({})).await;
        }
        let agent = json!({ "userAgent": "Chromium", "acceptLanguage": language });
        browser.ask("Emulation.setUserAgentOverride", agent).await;
        browser.screen(screen).await;
        let watch = "window.violations = []; addEventListener('securitypolicyviolation', \
                     (event) => violations.push(event.violatedDirective + ' ' + event.blockedURI));";
        browser.beforehand(watch).await;
        Some(browser)
    }

    /// Has every page run this script before its own.
    pub(crate) async fn beforehand(&mut self, script: &str) {
        let script = json!({ "source": script });
        self.ask("Page.addScriptToEvaluateOnNewDocument", script)
            .await;
    }

    /// Changes the size of the screen.
    pub(crate) async fn screen(&mut self, screen: Screen) {
        let (width, height, mobile) = match screen {
            Screen::Desk => (1280, 900, false),
            Screen::Phone => (360, 740, true),
        };
        let metrics =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile });
        self.ask("Emulation.setDeviceMetricsOverride", metrics)
            .await;
    }

    /// Shows pages in `light` or `dark`.
    pub(crate) async fn scheme(&mut self, scheme: &str) {
        let features = json!([{ "name": "prefers-color-scheme", "value": scheme }]);
        self.ask(
            "Emulation.setEmulatedMedia",
            json!({ "features": features }),
        )
        .await;
    }

    /// Goes to a page.
    pub(crate) async fn open(&mut self, url: &str) {
        self.ask("Page.navigate", json!({ "url": url })).await;
        self.until("document.readyState == 'complete' && location.href != 'about:blank'")
            .await;
    }

    /// Evaluates an expression in the page.
    pub(crate) async fn evaluate(&mut self, expression: &str) -> Value {
        let asked =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.ask("Runtime.evaluate", asked).await;
        assert!(
            answer.get("exceptionDetails").is_none(),
            "{expression}: {answer}"
        );
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true in the page, and returns its value.
    pub(crate) async fn until(&mut self, expression: &str) -> Value {
        let script = format!(
            "new Promise((done) => {{ const look = () => {{ const it = (() => {{ try {{ return ({expression}); }} catch {{ return null; }} }})(); \
             it ? done(it) : setTimeout(look, 20); }}; look(); setTimeout(() => done(null), 9000); }})"
        );
        let value = self.evaluate(&script).await;
        if value.is_null() {
            let page = self.evaluate("document.body.innerText").await;
            panic!("never true: {expression}\n{page}\n{:?}", self.faults);
        }
        value
    }

    /// Waits until an expression is true in whatever page is there, while one follows the other.
    pub(crate) async fn arrives(&mut self, expression: &str) {
        let guarded = format!(
            "(() => {{ try {{ return Boolean({expression}); }} catch {{ return false; }} }})()"
        );
        for _ in 0..ARRIVAL_LOOKS {
            let asked = json!({ "expression": guarded, "returnByValue": true });
            // Between two pages there is none to ask.
            if let Some(Ok(answer)) = self.tell("Runtime.evaluate", asked).await
                && answer["result"]["value"] == true
            {
                return;
            }
            tokio::time::sleep(ARRIVAL_PAUSE).await;
        }
        let page = self
            .evaluate("location.href + document.body.innerText")
            .await;
        panic!("never true: {expression}\n{page}");
    }

    /// Clicks on the middle of an element with the mouse, once it is there.
    pub(crate) async fn click(&mut self, selector: &str) {
        let selector = serde_json::to_string(selector).expect("a string");
        let place = format!(
            "(() => {{ const it = document.querySelector({selector}); it.scrollIntoView({{ block: 'center' }}); \
             const box = it.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }})()"
        );
        let place = self.until(&place).await;
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({
                "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1,
            });
            self.ask("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Moves the mouse to an element, at this share of its width.
    pub(crate) async fn point(&mut self, selector: &str, share: f64) {
        let selector = serde_json::to_string(selector).expect("a string");
        let place = format!(
            "(() => {{ const it = document.querySelector({selector}); it.scrollIntoView({{ block: 'center' }}); \
             const box = it.getBoundingClientRect(); return [box.x + box.width * {share}, box.y + box.height / 2]; }})()"
        );
        let place = self.until(&place).await;
        let event = json!({ "type": "mouseMoved", "x": place[0], "y": place[1] });
        self.ask("Input.dispatchMouseEvent", event).await;
    }

    /// Presses a key, such as `Tab` or `Enter`.
    pub(crate) async fn press(&mut self, key: &str) {
        let text = if key == "Enter" { "\r" } else { "" };
        let code = match key {
            "Tab" => 9,
            "Enter" => 13,
            _ => 0,
        };
        for kind in ["keyDown", "keyUp"] {
            let mut event = json!({
                "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code,
            });
            if kind == "keyDown" {
                event["text"] = text.into();
            }
            self.ask("Input.dispatchKeyEvent", event).await;
        }
    }

    /// Types a text where the focus is.
    pub(crate) async fn typed(&mut self, text: &str) {
        self.ask("Input.insertText", json!({ "text": text })).await;
    }

    /// Writes a picture of the screen, if the variable `SCREENSHOTS` names a folder.
    pub(crate) async fn picture(&mut self, name: &str) {
        let Some(folder) = std::env::var_os("SCREENSHOTS") else {
            return;
        };
        let picture = self
            .ask("Page.captureScreenshot", json!({ "format": "png" }))
            .await;
        let picture = from_base64(picture["data"].as_str().unwrap_or_default().as_bytes());
        std::fs::write(Path::new(&folder).join(name), picture).expect("a picture");
    }

    /// Asserts that the page met no fault: no exception, no error in its console, nothing that its
    /// policy forbids.
    pub(crate) async fn has_no_faults(&mut self) {
        let violations = self.evaluate("window.violations").await;
        assert_eq!(violations, json!([]));
        assert!(self.faults.is_empty(), "{:#?}", self.faults);
    }

    /// Forgets errors that a test provoked.
    pub(crate) fn forgive(&mut self) {
        self.faults.clear();
    }

    async fn ask(&mut self, method: &str, parameters: Value) -> Value {
        let answer = self.try_ask(method, parameters).await;
        answer.unwrap_or_else(|| panic!("the browser ended at {method}"))
    }

    async fn try_ask(&mut self, method: &str, parameters: Value) -> Option<Value> {
        let answer = self.tell(method, parameters).await?;
        Some(answer.unwrap_or_else(|error| panic!("{method}: {error}")))
    }

    /// Gives a command; none if the browser has ended.
    async fn tell(&mut self, method: &str, parameters: Value) -> Option<Result<Value, Value>> {
        self.last_id += 1;
        let mut message = json!({ "id": self.last_id, "method": method, "params": parameters });
        if let Some(session) = &self.session {
            message["sessionId"] = session.as_str().into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to.write_all(&bytes).await.ok()?;
        loop {
            let message = within(method, self.next()).await?;
            if message["id"] == self.last_id {
                return Some(match message.get("error") {
                    None => Ok(message["result"].clone()),
                    Some(error) => Err(error.clone()),
                });
            }
            self.note(&message);
        }
    }

    fn note(&mut self, message: &Value) {
        let told = &message["params"];
        match message["method"].as_str() {
            Some("Runtime.exceptionThrown") => self.faults.push(told.to_string()),
            Some("Log.entryAdded") if told["entry"]["level"] == "error" => {
                self.faults.push(told["entry"].to_string());
            }
            Some("Runtime.consoleAPICalled") if told["type"] == "error" => {
                self.faults.push(told["args"].to_string());
            }
            _ => {}
        }
    }

    async fn next(&mut self) -> Option<Value> {
        loop {
            if let Some(message) = self.messages.pop_front() {
                return Some(message);
            }
            if self.from.read_buf(&mut self.read).await.ok()? == 0 {
                return None;
            }
            while let Some(end) = self.read.iter().position(|byte| *byte == 0) {
                let rest = self.read.split_off(end + 1);
                let message = std::mem::replace(&mut self.read, rest);
                let message = serde_json::from_slice(&message[..end]).expect("JSON");
                self.messages.push_back(message);
            }
        }
    }
}

impl Drop for Chromium {
    fn drop(&mut self) {
        // Passed on to the browser.
        let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        let _ = self.child.wait();
    }
}
