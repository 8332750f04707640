//! Request parameters: form-encoded, each at most once (RFC 6749 §3.1, §3.2).

use super::OauthError;

/// The parameters of one request.
#[derive(Clone)]
pub(crate) struct Params(Vec<(String, String)>);

impl Params {
    /// Parses `application/x-www-form-urlencoded` text. A parameter given twice is `invalid_request`.
    pub(crate) fn parse(encoded: &[u8]) -> Result<Params, OauthError> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in url::form_urlencoded::parse(encoded) {
            if pairs.iter().any(|(seen, _)| *seen == name) {
                return Err(OauthError("invalid_request", "a parameter was given twice"));
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Params(pairs))
    }

    /// A parameter's value; sent without a value counts as omitted (RFC 6749 §3.1).
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(key, value)| key == name && !value.is_empty()).map(|(_, value)| value.as_str())
    }

    /// Like [`Params::get`]; a missing one is `invalid_request`.
    pub(crate) fn need(&self, name: &str) -> Result<&str, OauthError> {
        self.get(name).ok_or(OauthError("invalid_request", "a required parameter is missing"))
    }

    /// Space-separated values, in the order given, without repeats.
    pub(crate) fn list(&self, name: &str) -> Vec<String> {
        let mut values: Vec<String> = Vec::new();
        for value in self.get(name).unwrap_or_default().split_ascii_whitespace() {
            if !values.iter().any(|seen| seen == value) {
                values.push(value.to_owned());
            }
        }
        values
    }
}
