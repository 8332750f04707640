//! An AI agent, as far as tool servers see it: it calls a tool with its user's assertion and reads what comes back.

use serde_json::{Value, json};

use crate::http::{self, ClientError};

/// What came of a tool call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The tool did it.
    Done(Done),
    /// The tool did it, at several systems at once.
    Several(Vec<Done>),
    /// The user has to open a link first.
    Connect {
        /// The link: for this user alone.
        url: String,
        /// One sentence for the user.
        message: String,
        /// Why, such as `CONSENT_REASON_NOT_CONNECTED`.
        reason: String,
    },
    /// It was refused, or it failed.
    Refused {
        /// The stable reason, such as `ASSERTION_AUDIENCE`.
        reason: String,
        /// One sentence.
        message: String,
    },
}

/// What a tool did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Done {
    /// The account in whose name.
    pub account: String,
    /// All that is there, such as its notes.
    pub entries: Vec<String>,
    /// The grant it used, by its id in the audit log.
    pub grant: String,
    /// What that grant allowed.
    pub scopes: Vec<String>,
    /// When it ends, in seconds since the Unix epoch (UTC).
    pub expires_at: u64,
}

/// Why a tool server could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The HTTP stack.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The tool server did not answer, or not in JSON.
    #[error("the tool server did not answer: {0}")]
    Http(reqwest::Error),
    /// The answer is not one of MCP's.
    #[error("the tool server's answer makes no sense: {0}")]
    Odd(&'static str),
}

/// One user's agent.
pub struct Agent {
    http: reqwest::Client,
}

impl Agent {
    /// An agent.
    ///
    /// # Errors
    /// When the HTTP stack cannot be set up.
    pub fn new() -> Result<Agent, AgentError> {
        Ok(Agent { http: http::client(b"")? })
    }

    /// Calls `tool` of the tool server at `url` in the name of whom `assertion` speaks of.
    ///
    /// # Errors
    /// [`AgentError`]; a refusal is an [`Answer`].
    pub async fn call(
        &self,
        url: &str,
        assertion: &str,
        tool: &str,
        arguments: Value,
    ) -> Result<Answer, AgentError> {
        let params = json!({ "name": tool, "arguments": arguments });
        let request = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let response = self.http.post(url).bearer_auth(assertion).json(&request).send().await;
        let response = response.and_then(reqwest::Response::error_for_status);
        let answer: Value = response.map_err(stripped)?.json().await.map_err(stripped)?;
        read(&answer["result"]).ok_or(AgentError::Odd("no result of tools/call"))
    }
}

fn stripped(error: reqwest::Error) -> AgentError {
    AgentError::Http(error.without_url())
}

fn read(result: &Value) -> Option<Answer> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let reason = || text(&result["_meta"]["reason"]);
    if result["resultType"] == "input_required" {
        let asked = &result["inputRequests"]["connect"]["params"];
        return Some(Answer::Connect {
            url: text(&asked["url"])?,
            message: text(&asked["message"])?,
            reason: reason()?,
        });
    }
    if result["isError"] == true {
        return Some(Answer::Refused { reason: reason()?, message: text(&result["content"][0]["text"])? });
    }
    let (found, meta) = (&result["structuredContent"], &result["_meta"]);
    match found["week"].as_array() {
        None => Some(Answer::Done(done(found, &meta["grant"])?)),
        Some(week) => {
            let parts = week.iter().enumerate().map(|(at, found)| done(found, &meta["grants"][at]));
            Some(Answer::Several(parts.collect::<Option<_>>()?))
        }
    }
}

fn done(found: &Value, grant: &Value) -> Option<Done> {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let texts = |value: &Value| value.as_array()?.iter().map(text).collect::<Option<Vec<_>>>();
    Some(Done {
        account: text(&found["account"])?,
        entries: texts(&found["entries"])?,
        grant: text(&grant["id"])?,
        scopes: texts(&grant["scopes"])?,
        expires_at: grant["expireTime"].as_u64()?,
    })
}
