//! A tab, and what a person does in it.

use std::path::Path;
use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Value, json};

use super::line::Line;
use super::pictures;

/// A tab of a profile.
pub struct Tab {
    line: Arc<Line>,
    number: u64,
}

/// What is on the screen.
#[derive(Debug, Deserialize)]
pub struct Look {
    /// The status of the last answer, where one was awaited.
    #[serde(default)]
    pub status: u16,
    pub url: String,
    pub title: String,
    pub heading: String,
    /// All of it, on one line.
    pub text: String,
}

/// What the keyboard acts on.
#[derive(Debug, Deserialize, PartialEq)]
pub struct Focus {
    pub tag: String,
    pub name: String,
    /// Whether it is outlined.
    pub rings: bool,
}

impl Tab {
    pub(super) fn new(line: Arc<Line>, number: u64) -> Tab {
        Tab { line, number }
    }

    /// Types an address; answers when the page is there.
    pub async fn open(&self, url: &str) -> Look {
        self.looking("open", json!({ "url": url })).await
    }

    /// Waits until a page with this heading is there.
    pub async fn sees(&self, heading: &str) -> Look {
        self.looking("sees", json!({ "heading": heading })).await
    }

    /// Waits until a page with one of these headings is there and no other is on its way.
    pub async fn sees_one_of(&self, headings: &[&str]) -> Look {
        self.looking("settles", json!({ "headings": headings })).await
    }

    /// Waits until the page's content has this text.
    pub async fn reads(&self, text: &str) -> Look {
        self.looking("reads", json!({ "text": text })).await
    }

    /// What is there now.
    pub async fn look(&self) -> Look {
        self.looking("look", json!({})).await
    }

    /// Presses a button; does not wait for what follows.
    pub async fn press(&self, button: &str) {
        self.call("press", json!({ "role": "button", "name": button })).await;
    }

    /// The same twice, as fast as a double click.
    pub async fn press_twice(&self, button: &str) {
        self.call("press", json!({ "role": "button", "name": button, "times": 2 })).await;
    }

    /// Follows a link; does not wait for what follows.
    pub async fn follow(&self, link: &str) {
        self.call("press", json!({ "role": "link", "name": link })).await;
    }

    /// Whether there is such a button.
    pub async fn has_button(&self, button: &str) -> bool {
        self.call("has", json!({ "role": "button", "name": button })).await["count"] != 0
    }

    /// Presses a button whose form goes to `prefix`, and stays: answers where it would have led.
    pub async fn intercept(&self, button: &str, prefix: &str) -> String {
        let asked = json!({ "role": "button", "name": button, "prefix": prefix });
        let led = self.call("intercept", asked).await;
        led["location"].as_str().expect("a redirect").to_owned()
    }

    /// Fills in a field.
    pub async fn fill(&self, label: &str, value: &str) {
        self.call("fill", json!({ "label": label, "value": value })).await;
    }

    /// Chooses one of several.
    pub async fn choose(&self, label: &str) {
        self.call("choose", json!({ "label": label })).await;
    }

    /// Sends a form from the page that is there, whoever's it is.
    pub async fn post(&self, url: &str, fields: &[(&str, &str)]) {
        self.call("post", json!({ "url": url, "fields": fields })).await;
    }

    /// The button in the browser's own bar.
    pub async fn back(&self) -> Look {
        self.looking("go", json!({ "where": "back" })).await
    }

    /// Loads the page again, sending again what was sent.
    pub async fn reload(&self) -> Look {
        self.looking("go", json!({ "where": "reload" })).await
    }

    /// A key by its name, such as `Tab`.
    pub async fn key(&self, key: &str) {
        self.call("key", json!({ "key": key })).await;
    }

    /// Types into what has the focus.
    pub async fn types(&self, text: &str) {
        self.call("type", json!({ "text": text })).await;
    }

    /// What has the focus.
    pub async fn focus(&self) -> Focus {
        serde_json::from_value(self.call("focus", json!({})).await).expect("a focus")
    }

    /// axe-core finds nothing, nothing is wider than the screen, and pictures are kept: on a desk and on a phone, light
    /// and dark.
    ///
    /// # Panics
    /// When something is found.
    pub async fn judge(&self, name: &str) {
        let faults = self.faults(&pictures(), name).await;
        assert!(faults.is_empty(), "{name}: {}", faults.join("\n"));
    }

    /// What [`Self::judge`] finds; pictures go to `directory`.
    pub async fn faults(&self, directory: &Path, name: &str) -> Vec<String> {
        let found = self.call("judge", json!({ "directory": directory, "name": name })).await;
        serde_json::from_value(found["faults"].clone()).expect("a list")
    }

    async fn looking(&self, command: &str, given: Value) -> Look {
        serde_json::from_value(self.call(command, given).await).expect("a look")
    }

    async fn call(&self, command: &str, mut given: Value) -> Value {
        given["command"] = json!(command);
        given["tab"] = json!(self.number);
        self.line.call(given).await
    }
}
