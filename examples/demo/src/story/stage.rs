//! Everything the story needs, running.

use std::{fs, io};

use broker_client::TokenSource;
use serde_json::{Value, json};

use super::teller::{Mishap, Scene, Told, ensure};
use crate::agent::{Agent, Answer, Done};
use crate::browser::Browser;
use crate::http;
use crate::tools::ToolServer;
use crate::world::{ALICE, BOB, Options, Person, Workload, World};

/// Everything the story needs, running.
pub struct Stage {
    /// SSO, both SaaS and broker.
    pub world: World,
    ticket_helper: Served,
    report_writer: Served,
    pub(super) agent: Agent,
    pub(super) alice: Browser,
    pub(super) bob: Browser,
    pub(super) http: reqwest::Client,
}

/// A tool server, and what alice's and bob's agents show it: one assertion each, minted for it, for as long as it lasts.
struct Served {
    server: ToolServer,
    assertion: String,
    bobs: String,
}

impl Stage {
    pub(super) async fn set(options: Options) -> Scene<Stage> {
        let world = World::start(options).await?;
        let stage = Stage {
            ticket_helper: serve(&world, Workload::TicketHelper).await?,
            report_writer: serve(&world, Workload::ReportWriter).await?,
            agent: Agent::new()?,
            alice: world.browser()?,
            bob: world.browser()?,
            http: http::client(b"")?,
            world,
        };
        let world = &stage.world;
        let ready = stage.http.get(format!("{}/readyz", world.ops_url())).send().await?;
        ensure(ready.status().is_success(), || {
            format!("the broker says it is not ready: {}", ready.status())
        })?;
        let lines = [
            format!("the broker         {} for tool servers (gRPC)", world.grpc_url()),
            format!("                   {} for people's browsers", world.web_url()),
            format!("                   SQLite and fresh keys in {}", world.directory().display()),
            format!("the company's SSO  {}", world.sso().issuer()),
            format!("two SaaS           {} Notes, with an OAuth server of its own", world.notes().origin()),
            format!("                   {} Calendar, with another", world.calendar().origin()),
            format!("two tool servers   {} Ticket helper", stage.url(Workload::TicketHelper)),
            format!("                   {} Report writer", stage.url(Workload::ReportWriter)),
        ];
        Told::with(stage, lines)
    }

    fn served(&self, server: Workload) -> &Served {
        match server {
            Workload::TicketHelper => &self.ticket_helper,
            Workload::ReportWriter => &self.report_writer,
        }
    }

    /// Where a tool server takes calls.
    pub(super) fn url(&self, server: Workload) -> &str {
        self.served(server).server.url()
    }

    /// alice's agent calls a tool.
    pub(super) async fn call(
        &self,
        server: Workload,
        tool: &str,
        arguments: Value,
    ) -> Result<Answer, Mishap> {
        let assertion = &self.served(server).assertion;
        Ok(self.agent.call(self.url(server), assertion, tool, arguments).await?)
    }

    /// bob's agent calls a tool of Ticket helper.
    pub(super) async fn call_as_bob(&self, tool: &str) -> Result<Answer, Mishap> {
        let Served { server, bobs, .. } = &self.ticket_helper;
        Ok(self.agent.call(server.url(), bobs, tool, json!({})).await?)
    }

    /// The same as alice's where a link must come back: it, its sentence, and why it is needed.
    pub(super) async fn must_connect(
        &self,
        server: Workload,
        tool: &str,
        because: &str,
    ) -> Result<(String, String), Mishap> {
        match self.call(server, tool, json!({ "text": NOTE })).await? {
            Answer::Connect { url, message, reason } => {
                ensure(reason == because, || format!("a link because of {reason}, not {because}"))?;
                ensure(url.starts_with(&self.world.web_url()), || {
                    format!("the link is not the broker's: {url}")
                })?;
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

    /// Everything that must not be told: secrets, assertions, passwords, the root key's file.
    ///
    /// # Errors
    /// When a secret's file cannot be read.
    pub fn secrets(&self) -> io::Result<Vec<String>> {
        let mut secrets = self.world.all_secrets()?;
        let servers = [&self.ticket_helper, &self.report_writer];
        secrets.extend(servers.iter().flat_map(|served| [served.assertion.clone(), served.bobs.clone()]));
        let passwords = |person: &Person| [person.sso, person.notes, person.calendar].map(|at| at.password);
        secrets.extend([ALICE, BOB].iter().flat_map(passwords).map(str::to_owned));
        let keys = fs::read_to_string(self.world.path("keys.json"))?;
        secrets.extend(keys.split('"').filter(|text| text.len() > 40).map(str::to_owned));
        Ok(secrets)
    }

    /// Stops the broker and takes everything down.
    pub async fn clear(self) {
        self.world.stop().await;
    }
}

/// What alice's agent writes down.
pub(super) const NOTE: &str = "Ship it on Friday";

async fn serve(world: &World, workload: Workload) -> Result<Served, Mishap> {
    let source = TokenSource::new(world.client(workload).await?);
    let server = ToolServer::start(source, world.notes().origin(), world.calendar().origin()).await?;
    let [assertion, bobs] = [ALICE, BOB].map(|person| world.assertion(&person, workload));
    Ok(Served { server, assertion, bobs })
}
