//! Everything the story needs, running.

use broker_client::TokenSource;
use serde_json::{Value, json};

use super::teller::{Mishap, Scene, Told, ensure};
use crate::agent::{Agent, Answer, Done};
use crate::browser::Browser;
use crate::http;
use crate::tools::ToolServer;
use crate::world::{ALICE, Options, Workload, World};

/// Everything the story needs, running.
pub struct Stage {
    /// SSO, SaaS and broker.
    pub world: World,
    ticket_helper: ToolServer,
    report_writer: ToolServer,
    pub(super) agent: Agent,
    pub(super) alice: Browser,
    pub(super) bob: Browser,
    pub(super) http: reqwest::Client,
}

impl Stage {
    pub(super) async fn set(keep_directory: bool) -> Scene<Stage> {
        let world = World::start(Options { keep_directory, ..Options::default() }).await?;
        let stage = Stage {
            ticket_helper: tool_server(&world, Workload::TicketHelper).await?,
            report_writer: tool_server(&world, Workload::ReportWriter).await?,
            agent: Agent::new()?,
            alice: world.browser()?,
            bob: world.browser()?,
            http: http::client(b"")?,
            world,
        };
        let world = &stage.world;
        let ready = stage.http.get(format!("{}/readyz", world.ops_url())).send().await?;
        ensure(ready.status().is_success(), || format!("the broker says it is not ready: {}", ready.status()))?;
        let lines = [
            format!("the broker         {} for tool servers (gRPC)", world.grpc_url()),
            format!("                   {} for people's browsers", world.web_url()),
            format!("                   SQLite and fresh keys in {}", world.directory().display()),
            format!("the company's SSO  {}", world.sso().issuer()),
            format!("Notes, a SaaS      {} with an OAuth server of its own", world.notes().origin()),
            format!("two tool servers   {} Ticket helper", stage.url(Workload::TicketHelper)),
            format!("                   {} Report writer", stage.url(Workload::ReportWriter)),
        ];
        Told::with(stage, lines)
    }

    pub(super) fn url(&self, server: Workload) -> &str {
        match server {
            Workload::TicketHelper => self.ticket_helper.url(),
            Workload::ReportWriter => self.report_writer.url(),
        }
    }

    /// alice's agent calls a tool, with an assertion that the SSO minted for that server.
    pub(super) async fn call(&self, server: Workload, tool: &str, arguments: Value) -> Result<Answer, Mishap> {
        let assertion = self.world.assertion(&ALICE, server);
        Ok(self.agent.call(self.url(server), &assertion, tool, arguments).await?)
    }

    /// The same where a link must come back: it, its sentence, and why it is needed.
    pub(super) async fn must_connect(
        &self,
        server: Workload,
        tool: &str,
        because: &str,
    ) -> Result<(String, String), Mishap> {
        match self.call(server, tool, json!({ "text": NOTE })).await? {
            Answer::Connect { url, message, reason } => {
                ensure(reason == because, || format!("a link because of {reason}, not {because}"))?;
                ensure(url.starts_with(&self.world.web_url()), || format!("the link is not the broker's: {url}"))?;
                Ok((url, message))
            }
            other => Err(format!("a link was to come back, but: {other:?}").into()),
        }
    }

    /// The same where the tool must succeed as alice.
    pub(super) async fn must_serve_alice(&self, server: Workload, tool: &str) -> Result<Done, Mishap> {
        match self.call(server, tool, json!({ "text": NOTE })).await? {
            Answer::Done(done) => {
                ensure(done.account == ALICE.notes.name, || format!("served as {}", done.account))?;
                Ok(done)
            }
            other => Err(format!("the tool was to be served, but: {other:?}").into()),
        }
    }

    /// Seconds from now until `time` (seconds since the Unix epoch).
    pub(super) fn seconds_until(&self, time: u64) -> i64 {
        i64::try_from(time).unwrap_or(i64::MAX).saturating_sub(self.world.clock().now().unix_seconds())
    }

    /// Stops the broker and takes everything down.
    pub async fn clear(self) {
        self.world.stop().await;
    }
}

/// What alice's agent writes down.
pub(super) const NOTE: &str = "Ship it on Friday";

async fn tool_server(world: &World, workload: Workload) -> Result<ToolServer, Mishap> {
    let source = TokenSource::new(world.client(workload).await?);
    Ok(ToolServer::start(source, world.notes().origin()).await?)
}
