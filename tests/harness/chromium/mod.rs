//! Real browsers: Debian's Chromium, driven through `tests/browser/chromium.mjs`, one for every story.

mod line;
mod tab;

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};

use line::Line;
pub use tab::{Focus, Look, Tab};

/// A running Chromium. It ends when this and all its tabs are dropped.
pub struct Chromium {
    line: Arc<Line>,
}

/// One person's browser on one device: cookies of its own.
#[derive(Clone)]
pub struct Profile {
    line: Arc<Line>,
    number: u64,
}

impl Chromium {
    /// Starts one with nothing in it.
    ///
    /// # Panics
    /// When Chromium or its driver is not installed.
    pub async fn start() -> Chromium {
        Chromium { line: Arc::new(Line::open().await) }
    }

    /// A browser without cookies.
    pub async fn profile(&self) -> Profile {
        self.profile_with(json!({})).await
    }

    /// The same with Playwright's options for a context, such as `javaScriptEnabled`.
    pub async fn profile_with(&self, options: Value) -> Profile {
        let made = self.line.call(json!({ "command": "profile", "options": options })).await;
        Profile { line: Arc::clone(&self.line), number: made["profile"].as_u64().expect("a number") }
    }

    /// Ends it. What it had to complain about, such as a breach of a page's own content security policy, is a fault.
    ///
    /// # Panics
    /// When it complained.
    pub async fn close(self) {
        let said = self.line.call(json!({ "command": "end" })).await;
        assert_eq!(said["complaints"], json!([]), "the browser complained");
        self.line.end().await;
    }
}

impl Profile {
    /// A new tab.
    pub async fn tab(&self) -> Tab {
        let made = self.call("tab", json!({})).await;
        Tab::new(Arc::clone(&self.line), made["tab"].as_u64().expect("a number"))
    }

    /// From now on, whatever begins with `prefix` answers with nothing, at which a browser stays where it is.
    pub async fn silence(&self, prefix: &str) {
        self.call("silence", json!({ "prefix": prefix })).await;
    }

    /// Lets it answer again.
    pub async fn unsilence(&self) {
        self.call("unsilence", json!({})).await;
    }

    /// Loses a cookie.
    pub async fn forget(&self, cookie: &str) {
        self.call("forget", json!({ "cookie": cookie })).await;
    }

    /// The cookies it would send to `url`, as it describes them.
    pub async fn cookies(&self, url: &str) -> Vec<Value> {
        let held = self.call("cookies", json!({ "url": url })).await;
        held["cookies"].as_array().expect("a list").clone()
    }

    async fn call(&self, command: &str, mut given: Value) -> Value {
        given["command"] = json!(command);
        given["profile"] = json!(self.number);
        self.line.call(given).await
    }
}

/// Where pictures of pages are kept: what `SCREENSHOTS` says, or `target/screenshots`.
pub fn pictures() -> PathBuf {
    let named = std::env::var_os("SCREENSHOTS").map(PathBuf::from);
    named.unwrap_or_else(|| crate::npm::peers_dir().join("../../target/screenshots"))
}
