//! A chromium, driven by its own protocol (a WebSocket with JSON) as a person would use it.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use mesh_tower::mesh_core::jwt::base64url;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, sleep, timeout};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

/// For what the browser itself has to do; what the page has to do is measured by the tests.
const PATIENCE: Duration = Duration::from_secs(60);

/// A browser of one test, with one tab. It ends with the test.
pub(crate) struct Browser {
    socket: WebSocketStream<TcpStream>,
    session: Option<String>,
    sent: u64,
    /// What the browser holds against the page: errors of scripts, and what the policy has forbidden.
    complaints: Vec<String>,
    _child: Child,
    _profile: TempDir,
    _turn: SemaphorePermit<'static>,
}

/// So many browsers run at a time: more would be too slow for each other.
static TURNS: Semaphore = Semaphore::const_new(2);

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct View {
    pub(crate) width: u32,
    pub(crate) height: u32,
    pub(crate) scheme: &'static str,
}

pub(crate) const WIDE: View = View { width: 1280, height: 900, scheme: "light" };
pub(crate) const DARK: View = View { scheme: "dark", ..WIDE };
pub(crate) const PHONE: View = View { width: 390, height: 844, scheme: "light" };
pub(crate) const DARK_PHONE: View = View { scheme: "dark", ..PHONE };

/// What distributions call it.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// The program; where there is none that is said, and is a failure where everything has to run.
#[expect(clippy::print_stderr, reason = "who runs the tests is told what was passed over")]
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let mut programs = NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let found = programs.find(|program| program.is_file());
    if found.is_none() {
        let is_ci = std::env::var("CI").is_ok_and(|value| value == "true");
        assert!(!is_ci, "there is no chromium in PATH, and CI=true wants every test to run");
        eprintln!("skipped: there is no chromium in PATH, so nobody looks at the page");
    }
    found
}

impl Browser {
    pub(crate) async fn start() -> Option<Self> {
        let program = program()?;
        let turn = TURNS.acquire().await.unwrap();
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new(program);
        command.args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"]);
        command.args(["--no-first-run", "--remote-debugging-port=0", "about:blank"]);
        command.arg(format!("--user-data-dir={}", profile.path().display()));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().unwrap();
        // It takes a free port and writes it down, with the path of the socket in the second line.
        let note = profile.path().join("DevToolsActivePort");
        let written = async {
            loop {
                let text = std::fs::read_to_string(&note).unwrap_or_default();
                if let Some((port, path)) = text.split_once('\n').filter(|(_, path)| !path.is_empty()) {
                    return (port.parse::<u16>().unwrap(), path.trim().to_owned());
                }
                sleep(Duration::from_millis(20)).await;
            }
        };
        let (port, path) = timeout(PATIENCE, written).await.expect("the browser does not start");
        let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (socket, _) =
            tokio_tungstenite::client_async(format!("ws://127.0.0.1:{port}{path}"), stream).await.unwrap();
        let (sent, complaints) = (0, Vec::new());
        let mut browser =
            Self { socket, session: None, sent, complaints, _child: child, _profile: profile, _turn: turn };
        let tab = browser.send("Target.createTarget", json!({"url": "about:blank"})).await;
        let ask = json!({"targetId": tab["targetId"], "flatten": true});
        let attached = browser.send("Target.attachToTarget", ask).await;
        browser.session = Some(attached["sessionId"].as_str().unwrap().to_owned());
        for domain in ["Page", "Runtime", "Log"] {
            browser.send(&format!("{domain}.enable"), json!({})).await;
        }
        Some(browser)
    }

    /// Sends a command and gives its result; what is told meanwhile is looked through for complaints.
    async fn send(&mut self, method: &str, parameters: Value) -> Value {
        self.sent += 1;
        let mut command = json!({"id": self.sent, "method": method, "params": parameters});
        if let Some(session) = &self.session {
            command["sessionId"] = json!(session);
        }
        self.socket.send(Message::text(command.to_string())).await.unwrap();
        loop {
            let message = timeout(PATIENCE, self.socket.next()).await.expect("the browser is silent").unwrap().unwrap();
            let Message::Text(text) = message else { continue };
            let told: Value = serde_json::from_str(&text).unwrap();
            if told["id"] == self.sent {
                assert!(told["error"].is_null(), "{method}: {}", told["error"]);
                return told["result"].clone();
            }
            self.hear(&told);
        }
    }

    fn hear(&mut self, told: &Value) {
        let details = &told["params"];
        let is_bad = match told["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            Some("Runtime.consoleAPICalled") => details["type"] == "error",
            Some("Log.entryAdded") => details["entry"]["level"] == "error",
            _ => false,
        };
        if is_bad {
            self.complaints.push(details.to_string());
        }
    }

    /// Opens the address and waits for its script to have run.
    pub(crate) async fn open(&mut self, url: &str, view: View) {
        let View { width, height, scheme } = view;
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600});
        self.send("Emulation.setDeviceMetricsOverride", metrics).await;
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.send("Emulation.setEmulatedMedia", json!({"features": features})).await;
        self.send("Page.navigate", json!({"url": url})).await;
        let there = format!("location.href === {} && document.readyState === 'complete'", json!(url));
        self.until(&there, PATIENCE).await;
    }

    /// The value of an expression of the page.
    pub(crate) async fn eval(&mut self, expression: &str) -> Value {
        let ask = json!({"expression": expression, "returnByValue": true, "awaitPromise": true});
        let told = self.send("Runtime.evaluate", ask).await;
        assert!(told["exceptionDetails"].is_null(), "{expression}: {}", told["exceptionDetails"]);
        told["result"]["value"].clone()
    }

    /// Waits until an expression of the page is true, and says how long that took.
    pub(crate) async fn until(&mut self, expression: &str, at_most: Duration) -> Duration {
        let begin = Instant::now();
        while self.eval(expression).await != true {
            let page = self.eval("document.body ? document.body.innerText : ''").await;
            assert!(
                begin.elapsed() < at_most,
                "not within {at_most:?}: {expression}\n{}",
                page.as_str().unwrap_or("?")
            );
            sleep(Duration::from_millis(20)).await;
        }
        begin.elapsed()
    }

    /// Presses the mouse in the middle of the first element.
    pub(crate) async fn click(&mut self, selector: &str) {
        let middle = format!(
            "(() => {{ const found = document.querySelector({}); found.scrollIntoView({{block: 'center'}}); \
             const box = found.getBoundingClientRect(); return [box.x + box.width / 2, box.y + box.height / 2]; }})()",
            json!(selector)
        );
        let at = self.eval(&middle).await;
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({"type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1});
            self.send("Input.dispatchMouseEvent", event).await;
        }
    }

    /// Presses `Tab` or `Enter`.
    pub(crate) async fn press(&mut self, key: &str) {
        let (code, text) = if key == "Enter" { (13, "\r") } else { (9, "") };
        let event = json!({"type": "keyDown", "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text});
        self.send("Input.dispatchKeyEvent", event).await;
        let event = json!({"type": "keyUp", "key": key, "code": key, "windowsVirtualKeyCode": code});
        self.send("Input.dispatchKeyEvent", event).await;
    }

    /// Types into what has the focus.
    pub(crate) async fn insert(&mut self, text: &str) {
        self.send("Input.insertText", json!({"text": text})).await;
    }

    /// Opens pages from now on as who has no scripts sees them.
    pub(crate) async fn forbid_scripts(&mut self) {
        self.send("Emulation.setScriptExecutionDisabled", json!({"value": true})).await;
    }

    /// Leaves a picture of the whole page among the artefacts.
    pub(crate) async fn picture(&mut self, name: &str) {
        let all = json!({"format": "png", "captureBeyondViewport": true});
        let told = self.send("Page.captureScreenshot", all).await;
        let data = told["data"].as_str().unwrap().trim_end_matches('=').replace('+', "-").replace('/', "_");
        let bytes = base64url::decode(&data).unwrap();
        let folder =
            std::env::var_os("MESH_SCREENSHOTS").map_or_else(|| env!("CARGO_TARGET_TMPDIR").into(), PathBuf::from);
        std::fs::write(folder.join(name), bytes).unwrap();
    }

    /// What the browser holds against the page.
    pub(crate) async fn complaints(&mut self) -> &[String] {
        // Whatever was told before this answer has been heard.
        self.eval("1").await;
        &self.complaints
    }

    /// Fails if there is anything.
    pub(crate) async fn assert_content(&mut self) {
        let complaints = self.complaints().await;
        assert!(complaints.is_empty(), "{complaints:#?}");
    }
}
