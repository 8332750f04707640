//! JSON-RPC 2.0 as MCP uses it.

use serde::Deserialize;
use serde_json::{Map, Value, json};

/// A request.
#[derive(Deserialize)]
pub(super) struct Request {
    id: Value,
    pub(super) method: String,
    #[serde(default)]
    params: Value,
}

/// The parameters of `tools/call`.
pub(super) struct Call {
    pub(super) tool: String,
    arguments: Map<String, Value>,
}

impl Request {
    /// The call in it, if it is one.
    pub(super) fn call(&self) -> Option<Call> {
        let tool = self.params.get("name")?.as_str()?.to_owned();
        let arguments = match self.params.get("arguments") {
            None => Map::new(),
            Some(Value::Object(arguments)) => arguments.clone(),
            Some(_) => return None,
        };
        Some(Call { tool, arguments })
    }

    pub(super) fn result(&self, result: Value) -> Value {
        json!({ "jsonrpc": "2.0", "id": self.id, "result": result })
    }

    pub(super) fn error(&self, code: i32, message: &str) -> Value {
        json!({ "jsonrpc": "2.0", "id": self.id, "error": { "code": code, "message": message } })
    }
}

impl Call {
    /// A text argument.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.arguments.get(name)?.as_str()
    }
}
