//! A tool that needs two systems at once, called by real MCP clients: one link, both walks, one result.

use std::time::Duration;

use broker_tests::mcp::{McpClient, McpServer, Said, inspect};
use broker_tests::stage::Stage;
use demo::walk;
use demo::world::{ALICE, BOB, Person, Workload};
use serde_json::{Value, json};

/// Longer than any walk through the pages.
const PATIENCE: Duration = Duration::from_secs(50);

struct Scene {
    stage: Stage,
    server: McpServer,
}

impl Scene {
    async fn start() -> Scene {
        let stage = Stage::start().await;
        let server = McpServer::start(&stage, Workload::TicketHelper, PATIENCE).await;
        Scene { stage, server }
    }

    fn token(&self, person: &Person) -> String {
        self.stage.world.assertion(person, Workload::TicketHelper)
    }

    /// The person opens the link and goes through both.
    async fn walk(&self, person: &Person, link: &str) {
        assert!(
            link.starts_with(&format!("{}/consents/", self.stage.world.web_url())),
            "the parent page: {link}"
        );
        let browser = self.stage.world.browser().expect("a browser");
        let page = walk::connect_all(&browser, link, person).await.expect("the pages lead through");
        assert_eq!(page.title(), "All done · Token broker", "{}", page.describe());
    }

    /// Asked by one link and no second, a person connects both and gets both.
    async fn served(&self, client: McpClient, person: &Person) {
        let mut planning = client.call(self.server.url(), &self.token(person), "plan_week", json!({})).await;
        let link = planning.link().await;
        self.walk(person, &link).await;
        planning.reply("accept").await;
        match planning.next().await {
            Said::Result { failed: false, found, .. } => assert_eq!(found, week(person), "{client:?}"),
            other => panic!("{client:?}: a result was due: {other:?}"),
        }
    }
}

fn week(person: &Person) -> Value {
    let name = person.sso.name;
    json!({ "week": [
        { "account": person.notes.name, "notes": [format!("{name}'s first note")] },
        { "account": person.calendar.name, "events": [format!("{name}'s first appointment")] },
    ]})
}

/// Proves: CL3, GR6
#[tokio::test]
async fn cl3_gr6_clients_of_2026_07_28_are_asked_by_one_link_for_both_systems() {
    let scene = Scene::start().await;
    scene.served(McpClient::Sdk2("auto"), &ALICE).await;
    scene.served(McpClient::Fastmcp("auto"), &BOB).await;
}

/// The first of them waits until it is told that the link is done with: not before both are.
///
/// Proves: CL3, GR6
#[tokio::test]
async fn cl3_gr6_clients_of_2025_11_25_are_asked_by_one_link_and_told_when_both_are_connected() {
    let scene = Scene::start().await;
    scene.served(McpClient::Sdk1, &ALICE).await;
    scene.served(McpClient::Fastmcp("legacy"), &BOB).await;
}

/// Proves: CL3, GR6
#[tokio::test]
async fn cl3_gr6_the_inspector_shows_the_one_link_as_text() {
    let scene = Scene::start().await;
    let asked = inspect(scene.server.url(), &scene.token(&ALICE), "plan_week").await;
    assert_eq!(asked["isError"], true, "{asked}");
    let text = asked["content"][0]["text"].as_str().expect("a text");
    assert_eq!(text.matches("http://").count(), 1, "{text}");
    scene.walk(&ALICE, text.split_whitespace().last().expect("a link")).await;
    let done = inspect(scene.server.url(), &scene.token(&ALICE), "plan_week").await;
    assert_eq!(done["structuredContent"], week(&ALICE), "{done}");
}
