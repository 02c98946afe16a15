//! A headless Chromium, driven over its DevTools protocol through a pair of pipes: no port, no driver program.

use serde_json::{Value, json};
use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Write},
    process::{Child, ChildStdin, Command, Stdio},
    sync::{
        Arc, Condvar, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Longest time anything is waited for; far beyond what it takes.
pub const PATIENCE: Duration = Duration::from_secs(30);

#[derive(Default)]
struct Inbox {
    answers: HashMap<u64, Value>,
    events: Vec<Value>,
    ended: bool,
}

/// A browser with a fresh profile; ended when dropped.
pub struct Chrome {
    child: Child,
    to: Mutex<ChildStdin>,
    inbox: Arc<(Mutex<Inbox>, Condvar)>,
    calls: AtomicU64,
    _profile: tempfile::TempDir,
}

impl Chrome {
    pub fn start() -> Arc<Self> {
        let profile = tempfile::tempdir().unwrap();
        let flags = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--hide-scrollbars",
            "--force-color-profile=srgb",
            "--remote-debugging-pipe",
        ];
        // The browser reads commands at descriptor 3 and answers at 4; the shell moves our pipes there.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 </dev/null >/dev/null 2>&1", "chromium"])
            .args(flags)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a shell to start chromium; `cargo xtask test --install` brings chromium");
        let to = Mutex::new(child.stdin.take().unwrap());
        let from = BufReader::new(child.stdout.take().unwrap());
        let inbox = Arc::<(Mutex<Inbox>, Condvar)>::default();
        let filled = inbox.clone();
        std::thread::spawn(move || {
            for message in from.split(0).map_while(Result::ok) {
                let message: Value = serde_json::from_slice(&message).unwrap();
                let mut inbox = filled.0.lock().unwrap();
                match message["id"].as_u64() {
                    Some(id) => drop(inbox.answers.insert(id, message)),
                    None => inbox.events.push(message),
                }
                filled.1.notify_all();
            }
            filled.0.lock().unwrap().ended = true;
            filled.1.notify_all();
        });
        Arc::new(Self { child, to, inbox, calls: AtomicU64::new(1), _profile: profile })
    }

    fn call(&self, session: Option<&str>, method: &str, params: Value) -> Value {
        self.try_call(session, method, params).unwrap_or_else(|error| panic!("{method}: {error}"))
    }

    fn try_call(&self, session: Option<&str>, method: &str, params: Value) -> Result<Value, Value> {
        let id = self.calls.fetch_add(1, Ordering::Relaxed);
        let mut message = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = session {
            message["sessionId"] = session.into();
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        self.to.lock().unwrap().write_all(&bytes).expect("chromium runs; is it installed?");
        let deadline = Instant::now() + PATIENCE;
        let mut inbox = self.inbox.0.lock().unwrap();
        loop {
            if let Some(answer) = inbox.answers.remove(&id) {
                let error = &answer["error"];
                return if error.is_null() { Ok(answer["result"].clone()) } else { Err(error.clone()) };
            }
            assert!(!inbox.ended, "chromium ended; is it installed? (`cargo xtask test --install`)");
            assert!(Instant::now() < deadline, "chromium does not answer {method}");
            inbox = self.inbox.1.wait_timeout(inbox, Duration::from_millis(200)).unwrap().0;
        }
    }

    /// Opens a page of a context of its own that prefers `language`.
    pub fn open(self: &Arc<Self>, url: &str, language: &str) -> Page {
        let context = self.call(None, "Target.createBrowserContext", json!({}));
        let target = self.call(
            None,
            "Target.createTarget",
            json!({ "url": "about:blank", "browserContextId": context["browserContextId"] }),
        );
        let attached = self.call(
            None,
            "Target.attachToTarget",
            json!({ "targetId": target["targetId"], "flatten": true }),
        );
        let session = attached["sessionId"].as_str().unwrap().to_owned();
        let page = Page { chrome: self.clone(), session, origin: url.trim_end_matches('/').to_owned() };
        for domain in ["Page.enable", "Runtime.enable", "Network.enable", "Log.enable"] {
            page.call(domain, json!({}));
        }
        let agent = page.evaluate("navigator.userAgent");
        page.call("Network.setUserAgentOverride", json!({ "userAgent": agent, "acceptLanguage": language }));
        page.viewport(1_440, 900);
        page.go("/");
        page
    }
}

impl Drop for Chrome {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One page.
pub struct Page {
    chrome: Arc<Chrome>,
    session: String,
    origin: String,
}

impl Page {
    pub fn call(&self, method: &str, params: Value) -> Value {
        self.chrome.call(Some(&self.session), method, params)
    }

    pub fn go(&self, path: &str) {
        self.call("Page.navigate", json!({ "url": format!("{}{path}", self.origin) }));
        self.until(
            "the page is loaded",
            "document.readyState === 'complete' && location.href !== 'about:blank'",
        );
    }

    /// The value of an expression; a promise is awaited.
    pub fn evaluate(&self, expression: &str) -> Value {
        let params = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let answer = self.call("Runtime.evaluate", params);
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {}", answer["exceptionDetails"]);
        answer["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    pub fn until(&self, what: &str, expression: &str) {
        self.until_by(what, expression, Instant::now() + PATIENCE);
    }

    /// The same, with a deadline that a rule gives.
    pub fn until_by(&self, what: &str, expression: &str, deadline: Instant) {
        loop {
            let params = json!({ "expression": format!("Boolean({expression})"), "returnByValue": true });
            // A page that is just leaving for another one has no answer.
            let answer = self.chrome.try_call(Some(&self.session), "Runtime.evaluate", params);
            if answer.is_ok_and(|answer| answer["result"]["value"] == true) {
                return;
            }
            if Instant::now() >= deadline {
                let text = self.evaluate("document.body.innerText");
                let thrown = self.console_errors().join("\n");
                panic!("in vain: {what} ({expression})\n{thrown}\n{}", text.as_str().unwrap_or_default());
            }
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }

    /// Waits until the board shows figures.
    pub fn until_ready(&self) {
        self.until(
            "the board",
            "!document.getElementById('board').hidden && document.querySelector('.breaker .strip')",
        );
    }

    /// The visible text of an element.
    pub fn text(&self, selector: &str) -> String {
        let text = self.evaluate(&format!("document.querySelector({selector:?})?.innerText ?? null"));
        text.as_str().unwrap_or_else(|| panic!("no {selector}")).to_owned()
    }

    /// Waits until an element says something.
    pub fn until_says(&self, selector: &str, text: &str) {
        let expression = format!("document.querySelector({selector:?})?.innerText.includes({text:?})");
        self.until(&format!("{selector} says «{text}»"), &expression);
    }

    /// Clicks in the middle of an element, as a mouse does.
    pub fn click(&self, selector: &str) {
        self.until(selector, &format!("document.querySelector({selector:?})?.checkVisibility()"));
        let deadline = Instant::now() + PATIENCE;
        loop {
            let place = self.place_of(selector, deadline);
            self.mouse("mousePressed", &place);
            // The page may have moved since its place was asked for: a person would let go beside it and aim again.
            if self.evaluate(&format!("Boolean(window.pressed?.closest({selector:?}))")) == true {
                return self.mouse("mouseReleased", &place);
            }
            self.mouse("mouseReleased", &json!([0, 0]));
            assert!(Instant::now() < deadline, "{selector} does not keep still");
        }
    }

    fn mouse(&self, kind: &str, place: &Value) {
        let params = json!({ "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 });
        self.call("Input.dispatchMouseEvent", params);
    }

    /// The middle of an element, once it is what a click there would hit. After two frames: the browser finds out what a
    /// click hits from what it has painted.
    fn place_of(&self, selector: &str, deadline: Instant) -> Value {
        loop {
            let place = self.evaluate(&format!(
                "window.pressed = null, \
                 addEventListener('pointerdown', (event) => (window.pressed = event.target), {{capture: true, once: true}}), \
                 document.querySelector({selector:?})?.scrollIntoView({{block: 'center'}}), \
                 new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))).then(() => {{ \
                 const r = document.querySelector({selector:?})?.getBoundingClientRect(); \
                 const place = r && [r.x + r.width / 2, r.y + r.height / 2]; \
                 return place && document.elementFromPoint(...place)?.closest({selector:?}) ? place : null; }})"
            ));
            if !place.is_null() {
                return place;
            }
            assert!(Instant::now() < deadline, "{selector} is covered by something");
        }
    }

    /// Types into whatever has the focus.
    pub fn type_text(&self, text: &str) {
        self.call("Input.insertText", json!({ "text": text }));
    }

    /// Types into a field.
    pub fn fill(&self, selector: &str, text: &str) {
        self.until(selector, &format!("document.querySelector({selector:?})?.checkVisibility()"));
        self.evaluate(&format!("document.querySelector({selector:?}).focus()"));
        self.type_text(text);
    }

    /// Presses a key: `Tab`, `Enter`, `Escape`.
    pub fn press(&self, key: &str) {
        let (code, text) = match key {
            "Tab" => (9, None),
            "Enter" => (13, Some("\r")),
            "Escape" => (27, None),
            other => panic!("no code for the key {other}"),
        };
        for kind in ["keyDown", "keyUp"] {
            let mut params = json!({ "type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code });
            if let (Some(text), "keyDown") = (text, kind) {
                params["text"] = text.into();
            }
            self.call("Input.dispatchKeyEvent", params);
        }
    }

    pub fn viewport(&self, width: u32, height: u32) {
        let params =
            json!({ "width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600 });
        self.call("Emulation.setDeviceMetricsOverride", params);
    }

    pub fn dark(&self, dark: bool) {
        let value = if dark { "dark" } else { "light" };
        let features = json!([{ "name": "prefers-color-scheme", "value": value }]);
        self.call("Emulation.setEmulatedMedia", json!({ "features": features }));
    }

    /// A picture of the top of the page, as PNG in base64.
    pub fn picture(&self, width: u32, height_max: u32) -> String {
        let height = self.evaluate(&format!("Math.min({height_max}, document.documentElement.scrollHeight)"));
        let clip = json!({ "x": 0, "y": 0, "width": width, "height": height, "scale": 1 });
        let params = json!({ "format": "png", "captureBeyondViewport": true, "clip": clip });
        let answer = self.call("Page.captureScreenshot", params);
        answer["data"].as_str().unwrap().to_owned()
    }

    /// What the browser told of this page so far: events of one name.
    fn events(&self, method: &str) -> Vec<Value> {
        let inbox = self.chrome.inbox.0.lock().unwrap();
        let mine = inbox.events.iter().filter(|event| event["sessionId"] == self.session.as_str());
        mine.filter(|event| event["method"] == method).map(|event| event["params"].clone()).collect()
    }

    /// What stands in the console and a developer would call an error.
    fn console_errors(&self) -> Vec<String> {
        let mut found: Vec<String> = Vec::new();
        for event in self.events("Runtime.exceptionThrown") {
            found.push(event["exceptionDetails"].to_string());
        }
        for event in self.events("Runtime.consoleAPICalled") {
            if matches!(event["type"].as_str(), Some("error" | "warning" | "assert")) {
                found.push(event["args"].to_string());
            }
        }
        for event in self.events("Log.entryAdded") {
            if matches!(event["entry"]["level"].as_str(), Some("error" | "warning")) {
                found.push(event["entry"].to_string());
            }
        }
        found
    }

    /// Nothing of the kind stands in the console.
    pub fn assert_no_console_errors(&self) {
        let found = self.console_errors();
        assert!(found.is_empty(), "{}", found.join("\n"));
    }

    /// Every request the page made went to the adapter.
    pub fn assert_no_foreign_requests(&self) {
        let asked: Vec<String> = self
            .events("Network.requestWillBeSent")
            .iter()
            .map(|event| event["request"]["url"].as_str().unwrap_or_default().to_owned())
            .collect();
        assert!(!asked.is_empty());
        let own = format!("{}/", self.origin);
        let foreign: Vec<&String> =
            asked.iter().filter(|url| !url.starts_with(&own) && *url != "about:blank").collect();
        assert!(foreign.is_empty(), "{foreign:?}");
    }
}
