//! The MCP server: from a tool's call to its result, or to what the client is answered instead.

use crate::api::{Api, Failed};
use crate::tools::{self, Task, Work};
use broker_client::mcp::{Answer, ConsentFlow, Peer, ToolCall, consents_of, elicitation_complete};
use broker_client::{Assertion, BatchRequest, Grant, GrantRequest};
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, CustomNotification, ErrorCode,
    Implementation, InputRequiredResult, ListToolsResult, PaginatedRequestParams, ServerCapabilities,
    ServerConfig, ServerNotification,
};
use rmcp::service::RequestContext;
use rmcp::{ErrorData, RoleServer, ServerHandler};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;

/// How many links are watched at a time for clients that want to be told; further ones just call again.
const WATCHES: usize = 64;
/// How long a link is watched at most.
const WATCH: Duration = Duration::from_secs(600);

/// The tools. Clones are one server.
#[derive(Clone)]
pub struct NotesServer {
    flow: Arc<ConsentFlow>,
    provider: Arc<str>,
    notes: Api,
    calendar: Option<(Arc<str>, Api)>,
    watches: Arc<Semaphore>,
}

impl NotesServer {
    /// Grants come through `flow`, for `provider` as the broker names it.
    pub fn new(flow: ConsentFlow, provider: &str, notes: Api) -> Self {
        Self {
            flow: Arc::new(flow),
            provider: provider.into(),
            notes,
            calendar: None,
            watches: Arc::new(Semaphore::new(WATCHES)),
        }
    }

    /// Adds the tool that needs both: `calendar` as well, for `provider` as the broker names it.
    pub fn with_calendar(self, provider: &str, calendar: Api) -> Self {
        Self { calendar: Some((provider.into(), calendar)), ..self }
    }

    /// The broker that its grants come from.
    pub(crate) fn broker(&self) -> &broker_client::Client {
        self.flow.source().client()
    }

    /// Gets a grant for the user and does the work with it. A token that Notes no longer takes is forgotten, and the broker is
    /// asked once more, for what is still to be done: it says so when the grant is gone, and has another token when the old one
    /// was near its end.
    async fn work(
        &self,
        assertion: Assertion,
        call: &ToolCall,
        peer: Peer,
        work: &Work,
        tool: &str,
    ) -> Result<Value, Answer> {
        let request = GrantRequest::new(assertion, &*self.provider, work.scopes().iter().copied());
        let request = request.tool(tool).purpose(work.purpose());
        let (mut written, mut again) = (false, false);
        loop {
            let grant = self.flow.grant(&request, call, peer).await?;
            match self.with(&grant, work, &mut written).await {
                Err(Failed::Token) if !again => self.flow.source().rejected(&grant),
                done => return Ok(self.told(done, written)),
            }
            again = true;
        }
    }

    /// The same for both systems at once: all grants or none, and one link for everything that is missing.
    async fn plan(&self, assertion: Assertion, call: &ToolCall, peer: Peer) -> Result<Value, Answer> {
        let Some((provider, calendar)) = &self.calendar else { return Ok(failed("There is no calendar.")) };
        let item = |provider: &str, scope| GrantRequest::new(assertion.clone(), provider, [scope]);
        let request = BatchRequest::new(assertion.clone())
            .item(item(&self.provider, "notes.read"))
            .item(item(provider, "calendar.read"))
            .tool(tools::PLAN)
            .purpose("Plan your week from your notes and appointments");
        let mut again = false;
        loop {
            let grants = self.flow.grants(&request, call, peer).await?;
            let mut week = Vec::new();
            for (api, grant) in [&self.notes, calendar].into_iter().zip(&grants) {
                match api.list(grant).await {
                    Ok(found) => week.push(found),
                    Err(Failed::Token) if !again => self.flow.source().rejected(grant),
                    Err(Failed::Token) => return Ok(failed(&refused(api))),
                    Err(Failed::Other(why)) => return Ok(failed(&why)),
                }
            }
            if week.len() == 2 {
                return Ok(json!({ "week": week }));
            }
            again = true;
        }
    }

    /// What is `written` is not written again.
    async fn with(&self, grant: &Grant, work: &Work, written: &mut bool) -> Result<Value, Failed> {
        if let (Work::Add(text), false) = (work, *written) {
            self.notes.add(grant, text).await?;
            *written = true;
        }
        self.notes.list(grant).await
    }

    fn told(&self, done: Result<Value, Failed>, written: bool) -> Value {
        let why = match done {
            Ok(found) => return found,
            Err(Failed::Token) => refused(&self.notes),
            Err(Failed::Other(why)) => why,
        };
        // Whoever reads this must not add it a second time.
        let before = if written { "The note is written, but could not be read back. " } else { "" };
        failed(&format!("{before}{why}"))
    }

    /// Tells this client, and no other, when the links of its error are done with (MCP 2025-11-25).
    fn watch(&self, ids: Vec<String>, assertion: &Assertion, context: &RequestContext<RoleServer>) {
        for id in ids {
            let Ok(permit) = Arc::clone(&self.watches).try_acquire_owned() else { return };
            let (client, peer) = (self.flow.source().client().clone(), context.peer.clone());
            let assertion = assertion.clone();
            tokio::spawn(async move {
                let _permit = permit;
                // A link may lead through several.
                for consent in consents_of(&id) {
                    let Ok(watch) = client.watch_consent(consent, Some(&assertion), WATCH).await else {
                        return;
                    };
                    if watch.finished().await.is_err() {
                        return;
                    }
                }
                let told = elicitation_complete(&id);
                let method = told["method"].as_str().unwrap_or_default();
                let told = CustomNotification::new(method, Some(told["params"].clone()));
                // A client that has gone is not told.
                let _ = peer.send_notification(ServerNotification::CustomNotification(told)).await;
            });
        }
    }
}

impl ServerHandler for NotesServer {
    fn get_info(&self) -> ServerConfig {
        ServerConfig::new(ServerCapabilities::builder().enable_tools().build())
            .with_server_info(Implementation::new("notes", env!("CARGO_PKG_VERSION")))
            .with_instructions("Reads and writes the notes of whoever is signed in.")
    }

    async fn list_tools(
        &self,
        _: Option<PaginatedRequestParams>,
        _: RequestContext<RoleServer>,
    ) -> Result<ListToolsResult, ErrorData> {
        Ok(ListToolsResult::with_all_items(tools::list(self.calendar.is_some())))
    }

    async fn call_tool(
        &self,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let task = Task::of(&request.name, request.arguments.as_ref(), self.calendar.is_some());
        let task = task.map_err(|what| ErrorData::invalid_params(what, None))?;
        tracing::debug!(tool = %request.name, "a call");
        let assertion = assertion(&context)?;
        let params = serde_json::to_value(&request).map_err(internal)?;
        let user = assertion.clone();
        let done = match (ToolCall::from_params(&params), &task) {
            (Ok(call), Task::Notes(work)) => {
                self.work(user, &call, peer(&context)?, work, &request.name).await
            }
            (Ok(call), Task::Plan) => self.plan(user, &call, peer(&context)?).await,
            (Err(answer), _) => Err(answer),
        };
        tracing::trace!(tool = %request.name, done = done.is_ok(), "answered");
        match done {
            Ok(found) => Ok(result(found).into()),
            Err(Answer::Result(result)) if result["resultType"] == "input_required" => {
                let asked: InputRequiredResult = serde_json::from_value(result).map_err(internal)?;
                Ok(asked.into())
            }
            Err(Answer::Result(result)) => {
                let failed: CallToolResult = serde_json::from_value(result).map_err(internal)?;
                Ok(failed.into())
            }
            Err(Answer::Error(error)) => {
                self.watch(error.elicitation_ids(), &assertion, &context);
                let data = Some(error.data).filter(|data| !data.is_null());
                Err(ErrorData::new(ErrorCode(error.code), error.message, data))
            }
        }
    }
}

/// The user's token, as the layer left it with the HTTP request of this very call.
fn assertion(context: &RequestContext<RoleServer>) -> Result<Assertion, ErrorData> {
    let request = context.extensions.get::<http::request::Parts>();
    let found = request.and_then(|request| request.extensions.get::<Assertion>());
    found.cloned().ok_or_else(|| ErrorData::internal_error("the call came without its user", None))
}

fn peer(context: &RequestContext<RoleServer>) -> Result<Peer, ErrorData> {
    let capabilities =
        context.client_capabilities().map(serde_json::to_value).transpose().map_err(internal)?;
    let version = context.protocol_version();
    Ok(Peer::new(version.as_ref().map(|version| version.as_str()), capabilities.as_ref()))
}

fn refused(api: &Api) -> String {
    format!("{} does not take the token.", api.name())
}

fn failed(why: &str) -> Value {
    json!({ "failed": why })
}

fn result(found: Value) -> CallToolResult {
    match found["failed"].as_str() {
        Some(why) => CallToolResult::error(vec![ContentBlock::text(why)]),
        None => CallToolResult::structured(found),
    }
}

fn internal(error: serde_json::Error) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}
