//! The secrets that crossed a token endpoint, so that tests can look for them where they must not be.

use std::sync::Mutex;

use axum::http::HeaderMap;
use serde_json::Value;

use super::Params;

/// Codes, verifiers and tokens, as they came and went.
#[derive(Default)]
pub(crate) struct Heard {
    secrets: Mutex<Vec<(&'static str, String)>>,
    traces: Mutex<Vec<String>>,
}

impl Heard {
    /// What a request shows.
    pub(crate) fn asked(&self, params: &Params) {
        self.keep(["code", "code_verifier", "refresh_token", "token"].map(|name| (name, params.get(name))));
    }

    /// What an answer gives.
    pub(crate) fn answered(&self, answer: &Value) {
        self.keep(["access_token", "refresh_token", "id_token"].map(|name| (name, answer[name].as_str())));
    }

    /// In whose trace a request was made, if it says so (W3C Trace Context).
    pub(crate) fn within(&self, headers: &HeaderMap) {
        let traces = headers.get_all("traceparent").iter().filter_map(|value| value.to_str().ok());
        self.traces.lock().expect("no holder panicked").extend(traces.map(str::to_owned));
    }

    /// All the traces it was asked in.
    pub(crate) fn traces(&self) -> Vec<String> {
        self.traces.lock().expect("no holder panicked").clone()
    }

    fn keep<const N: usize>(&self, secrets: [(&'static str, Option<&str>); N]) {
        let found = secrets.into_iter().filter_map(|(name, value)| Some((name, value?.to_owned())));
        self.secrets.lock().expect("no holder panicked").extend(found);
    }

    /// All of them, each with what it is.
    pub(crate) fn all(&self) -> Vec<(&'static str, String)> {
        self.secrets.lock().expect("no holder panicked").clone()
    }
}
