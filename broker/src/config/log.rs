//! `log`: what the broker says about itself.

use schemars::JsonSchema;
use serde::Deserialize;

/// What the broker says about itself.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RawLog {
    /// The least important lines written. Default info.
    level: Option<LogLevel>,
    /// How lines look. Default text.
    format: Option<LogFormat>,
}

/// How important a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogLevel {
    /// Something is broken.
    Error,
    /// Something is odd.
    Warn,
    /// What an operator wants to see.
    Info,
    /// What a developer wants to see.
    Debug,
    /// Everything.
    Trace,
}

impl LogLevel {
    /// As written.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line.
    Json,
}

/// What the broker says about itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Log {
    /// The least important lines written.
    pub level: LogLevel,
    /// How lines look.
    pub format: LogFormat,
}

pub(super) fn check(raw: &RawLog) -> Log {
    Log { level: raw.level.unwrap_or(LogLevel::Info), format: raw.format.unwrap_or(LogFormat::Text) }
}
