//! Parameters of a query or form: each at most once, each bounded, none guessed.

use crate::{consent::words, domain::Refusal};

/// Most bytes of a query or form body.
pub(super) const MAX_BYTES: usize = 16 * 1024;
/// Most parameters.
const MAX_COUNT: usize = 32;
/// Longest value in bytes; the longest authorization codes seen have about 2 KiB.
const MAX_VALUE: usize = 8 * 1024;

/// Decoded `application/x-www-form-urlencoded` pairs.
#[derive(Default)]
pub(super) struct Params(Vec<(String, String)>);

impl Params {
    /// Reads pairs.
    ///
    /// # Errors
    /// Too long, or too many.
    pub(super) fn parse(text: &[u8]) -> Result<Self, Refusal> {
        if text.len() > MAX_BYTES {
            return Err(Refusal::invalid("parameters", "The request is too long."));
        }
        let mut pairs = Vec::new();
        for (name, value) in url::form_urlencoded::parse(text) {
            if pairs.len() == MAX_COUNT || value.len() > MAX_VALUE {
                return Err(Refusal::invalid(
                    "parameters",
                    "The request has too many or too long parameters.",
                ));
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(pairs))
    }

    /// A parameter of at most `max` bytes. One that is there twice is refused (RFC 6749 §3.1).
    ///
    /// # Errors
    /// Given twice, too long, or not UTF-8.
    pub(super) fn get(&self, name: &'static str, max: usize) -> Result<Option<&str>, Refusal> {
        let found = self.once(name, max)?;
        // The decoder puts this character where a byte was not UTF-8.
        if found.is_some_and(|value| value.contains('\u{fffd}')) {
            return Err(Refusal::invalid(name, "The request has a parameter that is not UTF-8."));
        }
        Ok(found)
    }

    /// Words from outside that are only shown: made fit for it, and never a reason to refuse for their encoding.
    ///
    /// # Errors
    /// Given twice, or too long.
    pub(super) fn words(&self, name: &'static str, max: usize) -> Result<Option<String>, Refusal> {
        Ok(self.once(name, max)?.map(words::tamed).filter(|text| !text.is_empty()))
    }

    fn once(&self, name: &'static str, max: usize) -> Result<Option<&str>, Refusal> {
        let mut found = self.0.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str());
        match (found.next(), found.next()) {
            (_, Some(_)) => Err(Refusal::invalid(name, "The request has a parameter twice.")),
            (Some(value), None) if value.len() > max => {
                Err(Refusal::invalid(name, "The request has a parameter that is too long."))
            }
            (found, None) => Ok(found),
        }
    }

    /// The same for one that has to be there.
    ///
    /// # Errors
    /// Missing or empty as well.
    pub(super) fn need(&self, name: &'static str, max: usize) -> Result<&str, Refusal> {
        let found = self.get(name, max)?.filter(|value| !value.is_empty());
        found.ok_or_else(|| Refusal::invalid(name, "The request lacks a parameter."))
    }
}
