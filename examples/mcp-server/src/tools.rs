//! What the tools are called, take and need.

use rmcp::model::{JsonObject, Tool};
use serde_json::{Value, json};

/// One tool that needs the notes API.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Work {
    /// Read the notes.
    List,
    /// Add one.
    Add(String),
}

/// Needs both systems; see [`Task::Plan`].
pub(crate) const PLAN: &str = "plan_week";

/// What a call asks for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Task {
    /// Something at the notes API.
    Notes(Work),
    /// Notes and appointments, both or none.
    Plan,
}

impl Task {
    /// What a call asks for; `Err` says in a sentence what is wrong with it.
    pub(crate) fn of(name: &str, arguments: Option<&JsonObject>, has_calendar: bool) -> Result<Self, String> {
        if name == PLAN && has_calendar { Ok(Self::Plan) } else { Work::of(name, arguments).map(Self::Notes) }
    }
}

impl Work {
    fn of(name: &str, arguments: Option<&JsonObject>) -> Result<Self, String> {
        let text = |name: &str| arguments.and_then(|arguments| arguments.get(name)).and_then(Value::as_str);
        match name {
            "list_notes" => Ok(Self::List),
            "add_note" => match text("text") {
                Some(text) => Ok(Self::Add(text.to_owned())),
                None => Err("text: has to be a text".to_owned()),
            },
            _ => Err("there is no such tool".to_owned()),
        }
    }

    /// What is needed for it at the notes API, in its own words.
    pub(crate) fn scopes(&self) -> &'static [&'static str] {
        match self {
            Self::List => &["notes.read"],
            Self::Add(_) => &["notes.read", "notes.write"],
        }
    }

    /// What the user reads on the consent page.
    pub(crate) fn purpose(&self) -> &'static str {
        match self {
            Self::List => "Read your notes to answer a question",
            Self::Add(_) => "Write down what you asked for",
        }
    }
}

/// The answer to `tools/list`.
pub(crate) fn list(has_calendar: bool) -> Vec<Tool> {
    let text = json!({ "text": { "type": "string", "description": "The note" } });
    let mut tools = vec![
        tool("list_notes", "Reads your notes", json!({}), &[]),
        tool("add_note", "Adds a note and reads all of them back", text, &["text"]),
    ];
    if has_calendar {
        tools.push(tool(PLAN, "Reads your notes and your appointments", json!({}), &[]));
    }
    tools
}

fn tool(name: &'static str, description: &'static str, properties: Value, required: &[&str]) -> Tool {
    let schema = json!({ "type": "object", "properties": properties, "required": required });
    let schema = schema.as_object().cloned().unwrap_or_default();
    Tool::new(name, description, schema)
}
