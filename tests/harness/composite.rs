//! A tool that needs two systems at once: a world with a second provider, and batches asked for in it.

use std::fs;

use broker_proto::v1::{
    BatchConsentRequired, BatchIssueGrantsRequest, Grant, GrantItem, batch_issue_grants_response::Outcome,
    grant_item_standing::Standing, grant_service_client::GrantServiceClient,
};
use demo::browser::{Browser, Page};
use demo::oauth::Client;
use demo::walk;
use demo::world::{Options, PROVIDER, Person, Workload};
use tonic::{
    Request, Status,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt;

use crate::stage::Stage;

/// The second provider.
pub const TASKS: &str = "tasks";
/// What people call it.
pub const TASKS_NAME: &str = "Tasks";

/// Lets the two tool servers use the second one as they may use the first.
const POLICY: &str = r#"
@id("staff-use-tasks") @max_ttl("15m")
permit (principal is Broker::Subject, action == Broker::Action::"issue", resource is Broker::Scope)
when { principal.roles.contains("notes-users") && resource.provider == "tasks" };
"#;

/// A stage with two providers, at which people have the same accounts.
pub struct Composite {
    pub stage: Stage,
    channel: Channel,
}

/// One item: at `provider`, these scopes.
pub fn item(provider: &str, scopes: &[&str]) -> GrantItem {
    let scopes = scopes.iter().map(|scope| (*scope).to_owned()).collect();
    GrantItem { provider: provider.to_owned(), scopes, ..GrantItem::default() }
}

/// Reading at both.
pub fn both() -> Vec<GrantItem> {
    vec![item(PROVIDER, &["notes.read"]), item(TASKS, &["notes.read"])]
}

impl Composite {
    /// The demo's world with a second provider.
    pub async fn start() -> Composite {
        Composite::with(Options::default()).await
    }

    /// The same with further options.
    pub async fn with(options: Options) -> Composite {
        let amend = options.amend_config;
        let amend_config = move |config: String| {
            let config = with_second(&config);
            match amend {
                Some(amend) => amend(config),
                None => config,
            }
        };
        let extra_policy = options.extra_policy + POLICY;
        let options = Options { amend_config: Some(Box::new(amend_config)), extra_policy, ..options };
        Composite::around(Stage::with(options).await)
    }

    /// A stage whose configuration has the second provider already.
    pub fn around(stage: Stage) -> Composite {
        let world = &stage.world;
        let secret = fs::read_to_string(world.path("notes-client-secret")).expect("the secret");
        let callback = |provider: &str| format!("{}/oauth/callback/{provider}", world.web_url());
        world.notes().register_client(Client {
            id: "broker".to_owned(),
            name: "Token broker".to_owned(),
            secret,
            redirect_uris: vec![callback(PROVIDER), callback(TASKS)],
        });
        let channel = Endpoint::from_shared(world.grpc_url()).expect("an address").connect_lazy();
        Composite { stage, channel }
    }

    /// A batch of `workload` for `person`, with a fresh assertion.
    pub fn request(
        &self,
        person: &Person,
        workload: Workload,
        items: Vec<GrantItem>,
    ) -> BatchIssueGrantsRequest {
        BatchIssueGrantsRequest {
            assertion: self.stage.world.assertion(person, workload),
            items,
            tool: "plan_week".to_owned(),
            purpose: "Plan the week from notes and tasks".to_owned(),
            request_id: None,
        }
    }

    /// Sends it.
    pub async fn send(
        &self,
        workload: Workload,
        message: BatchIssueGrantsRequest,
    ) -> Result<Outcome, Status> {
        let mut request = Request::new(message);
        let credential = format!("Bearer {}", self.stage.world.secret(workload));
        request.metadata_mut().insert("authorization", credential.parse().expect("ASCII"));
        let answer = GrantServiceClient::new(self.channel.clone()).batch_issue_grants(request).await?;
        Ok(answer.into_inner().outcome.expect("one of the two"))
    }

    /// What the ticket helper is answered when it asks for `person`.
    pub async fn ask(&self, person: &Person, items: Vec<GrantItem>) -> Result<Outcome, Status> {
        self.send(Workload::TicketHelper, self.request(person, Workload::TicketHelper, items)).await
    }

    /// The same where consents are due.
    pub async fn needed(&self, person: &Person, items: Vec<GrantItem>) -> BatchConsentRequired {
        match self.ask(person, items).await {
            Ok(Outcome::ConsentRequired(required)) => required,
            other => panic!("consents were due: {other:?}"),
        }
    }

    /// The same where grants are due.
    pub async fn granted(&self, person: &Person, items: Vec<GrantItem>) -> Vec<Grant> {
        match self.ask(person, items).await {
            Ok(Outcome::Grants(grants)) => grants.grants,
            other => panic!("grants were due: {other:?}"),
        }
    }

    /// A browser without cookies.
    pub fn browser(&self) -> Browser {
        self.stage.world.browser().expect("a browser")
    }

    /// Walks from the parent page through everything that is missing; answers the last page.
    pub async fn walk(&self, person: &Person, required: &BatchConsentRequired) -> Page {
        let page = open(&self.browser(), &required.url, person).await;
        let mut page = page;
        for _ in 0..required.items.len() {
            let Some(next) = next_of(&page) else { return page };
            page = step(&page, &next, person).await;
        }
        page
    }

    /// Its broker stops.
    pub async fn stop(self) {
        self.stage.stop().await;
    }
}

/// Opens a link and signs in where that is asked.
pub async fn open(browser: &Browser, link: &str, person: &Person) -> Page {
    walk::sign_in(browser.get(link).await.expect("the link opens"), &person.sso).await.expect("signed in")
}

/// The label of the way to the next connection, if the page has one.
pub fn next_of(page: &Page) -> Option<String> {
    [PROVIDER_NAME, TASKS_NAME]
        .map(|name| format!("Continue with {name}"))
        .into_iter()
        .find(|label| page.link(label).is_ok())
}

/// What people call the first provider.
pub const PROVIDER_NAME: &str = "Notes";

/// From the parent page through one provider, and back.
pub async fn step(page: &Page, label: &str, person: &Person) -> Page {
    let page = page.click(label).await.expect("its page");
    let page = walk::approve(page).await.expect("approved");
    let page = walk::allow(page, &person.notes).await.expect("allowed");
    walk::confirm(page).await.expect("confirmed")
}

/// The reason of a refusal and, where it is about one item, which one.
pub fn reason(answer: Result<Outcome, Status>) -> (String, Option<String>) {
    let Err(status) = answer else { panic!("a refusal was due: {answer:?}") };
    let details = status.get_error_details();
    let info = details.error_info().expect("ErrorInfo");
    (info.reason.clone(), info.metadata.get("item").cloned())
}

/// `None` for an item that is ready, else its consent's id and link.
pub fn standing(required: &BatchConsentRequired, item: usize) -> Option<(String, String)> {
    match required.items[item].standing.as_ref().expect("one of the two") {
        Standing::Ready(_) => None,
        Standing::ConsentRequired(consent) => Some((consent.consent_id.clone(), consent.url.clone())),
    }
}

/// The configuration with a second provider, which is the first under another name.
pub fn with_second(config: &str) -> String {
    let begin = config.find("  - id: notes\n").expect("the first provider");
    let end = begin + config[begin..].find("  - id: calendar\n").expect("what follows the first provider");
    let second = config[begin..end]
        .replace("- id: notes", &format!("- id: {TASKS}"))
        .replace("display_name: Notes", &format!("display_name: {TASKS_NAME}"));
    format!("{}{second}{}", &config[..end], &config[end..])
}
