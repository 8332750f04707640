//! Why something is refused: a stable reason, one public sentence, and a private source that only the log sees.

use super::Reason;
use std::{collections::BTreeMap, error::Error, fmt, time::Duration};

/// A refusal on its way to a caller. Transport turns it into a gRPC status or a page, in one place each.
pub struct Refusal {
    /// The reason code.
    pub reason: Reason,
    /// One sentence for the caller: no internals, no secret, no personal data.
    pub sentence: String,
    /// When to try again.
    pub retry_after: Option<Duration>,
    /// The dynamic parts of the sentence, for programs (AIP-193).
    pub metadata: BTreeMap<&'static str, String>,
    /// The request field at fault.
    pub field: Option<&'static str>,
    /// Whether a row of the audit log says so already (AU2).
    pub recorded: bool,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Refusal {
    /// With the reason's own sentence.
    pub fn new(reason: Reason) -> Self {
        Self::because(reason, reason.explanation().trim())
    }

    /// With a sentence of its own.
    pub fn because(reason: Reason, sentence: impl Into<String>) -> Self {
        Self {
            reason,
            sentence: sentence.into(),
            retry_after: None,
            metadata: BTreeMap::new(),
            field: None,
            recorded: false,
            source: None,
        }
    }

    /// A request field that cannot be served.
    pub fn invalid(field: &'static str, sentence: impl Into<String>) -> Self {
        Self { field: Some(field), ..Self::because(Reason::InvalidArgument, sentence) }
    }

    /// The same with a delay.
    #[must_use]
    pub fn retry_after(mut self, delay: Duration) -> Self {
        self.retry_after = Some(delay);
        self
    }

    /// The same with one more dynamic part.
    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<String>) -> Self {
        self.metadata.insert(key, value.into());
        self
    }

    /// The same, once a row of the audit log says so.
    #[must_use]
    pub fn recorded(mut self) -> Self {
        self.recorded = true;
        self
    }

    /// The same with what caused it, for the log.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refusal({}", self.reason.as_str())?;
        match &self.source {
            Some(source) => write!(f, ", {source})"),
            None => f.write_str(")"),
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl Error for Refusal {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|e| &**e as &(dyn Error + 'static))
    }
}
