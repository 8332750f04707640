//! Several grants at once, the page that leads through them, and an MCP server that asks for them by `broker-client`.

use broker_proto::v1::batch_issue_grants_response::Outcome;
use broker_proto::v1::grant_item_standing::Standing;
use broker_proto::v1::grant_service_client::GrantServiceClient;
use broker_proto::v1::{BatchIssueGrantsRequest, GrantItem};
use broker_tests::mcp_process::{McpProcess, STATE_SECRET};
use demo::browser::{Browser, Page};
use demo::walk;
use demo::world::{ALICE, BOB, CALENDAR, PROVIDER, Person, Workload};
use serde_json::json;
use tonic::{Request, Status};

use super::evidence::Place;
use super::job::{Job, authorize};

impl Job<'_> {
    /// alice and bob each walk through the page of a batch; it is opened by the other one first, and by nobody.
    pub async fn several(&mut self, people: &[(&Browser, &Person)]) {
        let refused = self.batch(&BOB, &["notes.read"], "look_for_canaries").await;
        assert!(refused.is_ok(), "{refused:?}");
        for (index, (browser, person)) in people.iter().enumerate() {
            let link = self.page_of_a_batch(person).await;
            let (other, _) = people[1 - index];
            let foreign = self.keep(other.get(&link).await);
            assert!(foreign.text().contains("not for this account"), "{}", foreign.describe());
            let stranger = self.site.browser().expect("a browser");
            self.keep(stranger.get(&link).await);
            let page = self.keep(browser.get(&link).await);
            let page = self.through(page, person).await;
            assert_eq!(page.title(), "All done · Token broker", "{}", page.describe());
            let outcome = self.batch(person, &["notes.read"], "plan_week").await.expect("an outcome");
            let Outcome::Grants(mut grants) = outcome else { panic!("grants were due") };
            for grant in &mut grants.grants {
                self.evidence.secret("SaaS access_token of a batch", std::mem::take(&mut grant.access_token));
            }
            self.evidence.wrote(Place::Rpc, "grants but their tokens", format!("{grants:?}"));
        }
        // An item that cannot be granted refuses the batch.
        self.batch(&ALICE, &["notes.canary"], "plan_week").await.expect_err("refused");
    }

    async fn through(&mut self, page: Page, person: &Person) -> Page {
        let page = self.keep(page.click("Continue with Calendar").await);
        let page = self.keep(walk::approve(page).await);
        let page = self.keep(walk::allow(page, &person.calendar).await);
        self.keep(walk::confirm(page).await)
    }

    async fn page_of_a_batch(&mut self, person: &Person) -> String {
        let outcome = self.batch(person, &["notes.read"], "plan_week").await.expect("an outcome");
        let Outcome::ConsentRequired(required) = outcome else { panic!("consents were due") };
        let links = required.items.iter().filter_map(|item| match &item.standing {
            Some(Standing::ConsentRequired(consent)) => Some(&consent.url),
            _ => None,
        });
        for link in links.chain([&required.url]) {
            let handle = link.rsplit('/').next().expect("a path");
            self.evidence.secret_but_in(&[Place::Page], "parent handle", handle);
        }
        required.url
    }

    async fn batch(&mut self, person: &Person, notes: &[&str], tool: &str) -> Result<Outcome, Status> {
        let assertion = self.assertion(person, Workload::TicketHelper);
        let item = |provider: &str, scopes: &[&str]| GrantItem {
            provider: provider.to_owned(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            ..GrantItem::default()
        };
        let mut request = Request::new(BatchIssueGrantsRequest {
            assertion,
            items: vec![item(PROVIDER, notes), item(CALENDAR, &["calendar.read"])],
            tool: tool.to_owned(),
            purpose: "Look for secrets".to_owned(),
            request_id: None,
        });
        authorize(&mut request, self.site.secret(Workload::TicketHelper));
        match GrantServiceClient::new(self.channel.clone()).batch_issue_grants(request).await {
            Ok(answer) => {
                self.evidence.wrote(Place::Rpc, "batch metadata", format!("{:?}", answer.metadata()));
                Ok(answer.into_inner().outcome.expect("an outcome"))
            }
            Err(status) => {
                self.status(&status);
                Err(status)
            }
        }
    }

    /// The example's server at its most talkative: what it answers, and what it and the broker's client log.
    pub async fn mcp_server(&mut self) {
        let server = McpProcess::start(self.site).await;
        self.evidence.secret("state secret", STATE_SECRET);
        let good = self.assertion(&ALICE, Workload::TicketHelper);
        let foreign = self.assertion(&ALICE, Workload::ReportWriter);
        let canary = "canary.for.an.mcp-token-0815".to_owned();
        self.evidence.secret("canary for an MCP token", &canary);
        let client = demo::http::client(b"").expect("a client");
        for (token, tool, status) in [
            (&good, "list_notes", 200),
            (&good, "plan_week", 200),
            (&good, "plan_week", 200),
            (&foreign, "list_notes", 401),
            (&canary, "list_notes", 401),
        ] {
            let call = json!({
                "jsonrpc": "2.0", "id": 1, "method": "tools/call",
                "params": { "name": tool, "arguments": {}, "_meta": {
                    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                    "io.modelcontextprotocol/clientInfo": { "name": "canary", "version": "1" },
                    "io.modelcontextprotocol/clientCapabilities": {},
                }},
            });
            let sent = client.post(server.url()).bearer_auth(token).json(&call);
            let sent = sent.header("accept", "application/json, text/event-stream");
            let sent = sent.header("mcp-protocol-version", "2026-07-28").header("mcp-method", "tools/call");
            let answer = sent.header("mcp-name", tool).send().await.expect("an answer");
            assert_eq!(answer.status().as_u16(), status, "{tool}");
            let headers = format!("{:?}", answer.headers());
            let text = answer.text().await.expect("text");
            assert!(status != 200 || text.contains(ALICE.notes.name), "{tool}: {text}");
            self.evidence.wrote(Place::Rpc, "an MCP server's answer", headers + &text);
        }
        let log = server.log().await;
        assert!(log.contains("plan_week") && log.contains("TRACE") && log.contains("Calendar"), "{log}");
        self.evidence.wrote(Place::Log, "an MCP server's log", log);
    }
}
