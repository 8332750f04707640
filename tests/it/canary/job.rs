//! Connect, issue, refresh, deny, fail, revoke: with an eye on every secret and every answer.

use broker_proto::v1::audit_service_client::AuditServiceClient;
use broker_proto::v1::connection_service_client::ConnectionServiceClient;
use broker_proto::v1::consent_service_client::ConsentServiceClient;
use broker_proto::v1::grant_service_client::GrantServiceClient;
use broker_proto::v1::issue_grant_response::Outcome;
use broker_proto::v1::{
    GetConsentRequest, IssueGrantRequest, ListAuditEventsRequest, ListConnectionsRequest,
};
use broker_tests::stage::subject_of;
use demo::browser::{Browser, Page};
use demo::saas::Fault;
use demo::sso::User;
use demo::walk;
use demo::world::{ALICE, AUDITOR, BOB, PROVIDER, Person, Site, Workload};
use serde_json::json;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::evidence::{Evidence, Place};

pub struct Job<'a> {
    pub(super) site: &'a Site,
    pub evidence: Evidence,
    pub(super) channel: Channel,
}

impl<'a> Job<'a> {
    pub fn new(site: &'a Site, evidence: Evidence) -> Job<'a> {
        let channel = Endpoint::from_shared(site.grpc_url()).expect("an address").connect_lazy();
        Job { site, evidence, channel }
    }

    pub async fn run(&mut self) {
        self.people_are_no_business_of_the_logs();
        let both = ["notes.read", "notes.write"];
        let (alice, bob) = (self.browser(), self.browser());
        let link = self.link(&ALICE, &both).await;
        let foreign = self.keep(walk::sign_in(bob.get(&link).await.expect("a page"), &BOB.sso).await);
        assert!(foreign.text().contains("not for this account"), "{}", foreign.describe());
        self.connect(&alice, &ALICE, &link).await;
        let link = self.link(&BOB, &["notes.read"]).await;
        self.connect(&bob, &BOB, &link).await;
        // A step-up: what stands is not touched until the wider one does.
        let link = self.link(&BOB, &both).await;
        self.connect(&bob, &BOB, &link).await;
        self.several(&[(&alice, &ALICE), (&bob, &BOB)]).await;
        self.mcp_server().await;
        self.cookies(&[&alice, &bob]);

        self.grant(&ALICE, &both).await;
        self.grant(&ALICE, &["notes.read"]).await;
        self.denials().await;
        self.strangers_on_the_pages().await;
        self.provider_faults().await;
        self.lists(&link).await;
        self.disconnect(&bob).await;
    }

    /// Who a person is belongs into the audit log, sealed, and onto their own pages: not where everybody looks.
    fn people_are_no_business_of_the_logs(&mut self) {
        const KNOWN: &[Place] = &[Place::Database, Place::Rpc, Place::Page, Place::CommandLine];
        for person in [&ALICE, &BOB] {
            self.evidence.secret_but_in(KNOWN, "a person's subject", subject_of(person));
            self.evidence.secret_but_in(
                KNOWN,
                "a person's account",
                format!("{}@notes.example", person.sso.name),
            );
        }
    }

    fn browser(&self) -> Browser {
        self.site.browser().expect("a browser")
    }

    pub(super) fn keep<E: std::fmt::Display>(&mut self, page: Result<Page, E>) -> Page {
        let page = page.unwrap_or_else(|error| panic!("{error}"));
        self.evidence.page(&page, &self.site.web_url());
        page
    }

    pub(super) fn assertion(&mut self, person: &Person, workload: Workload) -> String {
        let assertion = self.site.assertion(person, workload);
        self.assertion_is_secret(&assertion);
        assertion
    }

    /// The whole, and its signature alone.
    fn assertion_is_secret(&mut self, assertion: &str) {
        self.evidence.secret("assertion", assertion);
        self.evidence.secret("assertion's signature", assertion.rsplit('.').next().expect("three parts"));
    }

    async fn issue(&mut self, assertion: &str, secret: &str, scopes: &[&str]) -> Result<Outcome, Status> {
        let mut request = Request::new(IssueGrantRequest {
            assertion: assertion.to_owned(),
            provider: PROVIDER.to_owned(),
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            tool: "list_notes".to_owned(),
            purpose: "Look for secrets".to_owned(),
            ..Default::default()
        });
        let header = "canary-in-a-request-header-0815";
        self.evidence.secret("canary in a header", header);
        request.metadata_mut().insert("x-canary", header.parse().expect("a header"));
        request.metadata_mut().insert("traceparent", header.parse().expect("a header"));
        authorize(&mut request, secret);
        let answer = GrantServiceClient::new(self.channel.clone()).issue_grant(request).await;
        match answer {
            Ok(answer) => {
                self.evidence.wrote(Place::Rpc, "metadata", format!("{:?}", answer.metadata()));
                Ok(answer.into_inner().outcome.expect("an outcome"))
            }
            Err(status) => {
                self.status(&status);
                Err(status)
            }
        }
    }

    pub(super) fn status(&mut self, status: &Status) {
        self.evidence.wrote(Place::Rpc, "status", format!("{status:?} {:?}", status.metadata()));
        self.evidence.wrote(Place::Rpc, "status details", status.details());
    }

    async fn link(&mut self, person: &Person, scopes: &[&str]) -> String {
        let assertion = self.assertion(person, Workload::TicketHelper);
        let secret = self.site.secret(Workload::TicketHelper).to_owned();
        let outcome = self.issue(&assertion, &secret, scopes).await.expect("an outcome");
        let Outcome::ConsentRequired(consent) = outcome else { panic!("a consent is needed") };
        let handle = consent.url.rsplit('/').next().expect("a path").to_owned();
        // CO1: safe to log; but whoever reads the database must not be able to open it, and we do not log it all the same.
        self.evidence.secret_but_in(&[Place::Page], "consent handle", handle);
        consent.url
    }

    async fn grant(&mut self, person: &Person, scopes: &[&str]) {
        let assertion = self.assertion(person, Workload::TicketHelper);
        let secret = self.site.secret(Workload::TicketHelper).to_owned();
        let outcome = self.issue(&assertion, &secret, scopes).await.expect("an outcome");
        let Outcome::Grant(mut grant) = outcome else { panic!("a grant") };
        self.evidence.secret("SaaS access_token of a grant", std::mem::take(&mut grant.access_token));
        self.evidence.wrote(Place::Rpc, "grant but its token", format!("{grant:?}"));
    }

    async fn connect(&mut self, browser: &Browser, person: &Person, link: &str) {
        let page = self.keep(browser.get(link).await);
        let page = self.keep(walk::sign_in(page, &person.sso).await);
        let page = self.keep(walk::approve(page).await);
        let page = self.keep(walk::allow(page, &person.notes).await);
        let page = self.keep(walk::confirm(page).await);
        assert!(page.trail.iter().all(|hop| hop.status < 400), "{}", page.describe());
        self.keep(browser.get(&format!("{}/connections", self.site.web_url())).await);
    }

    fn cookies(&mut self, browsers: &[&Browser]) {
        for browser in browsers {
            for (name, value) in browser.cookies(&self.site.web_url()) {
                self.evidence.secret(&format!("session cookie {name}"), value);
            }
        }
    }

    async fn denials(&mut self) {
        let sso = self.site.sso();
        let (ticket, report) = (Workload::TicketHelper, Workload::ReportWriter);
        let good = self.assertion(&ALICE, ticket);
        let foreign = self.assertion(&ALICE, report);
        let expired = sso.mint_with(ALICE.sso.name, ticket.audience(), json!({ "exp": 1_000_000_000 }));
        let forged =
            sso.mint_raw(json!({ "kid": "canary-key-id-0815" }), &json!({ "sub": "canary-subject-0815" }));
        let eve =
            User { username: "eve".to_owned(), sub: "u-eve".to_owned(), roles: vec![], ..User::alice() };
        sso.put_user(eve);
        let powerless = sso.mint_assertion("eve", ticket.audience());
        let cut = good[..good.len() - 9].to_owned();
        let secret = self.site.secret(ticket).to_owned();
        let read = ["notes.read"];
        for assertion in [foreign, expired, forged, powerless, cut, "canary-for-an-assertion-0815".to_owned()]
        {
            self.evidence.secret("assertion", &assertion);
            self.issue(&assertion, &secret, &read).await.expect_err("refused");
        }
        let wrong = "canary-for-a-workload-secret-0815";
        self.evidence.secret("canary credential", wrong);
        let status = self.issue(&good, wrong, &read).await.expect_err("refused");
        assert_eq!(status.code(), Code::Unauthenticated);
        // A workload's token from the cluster, in the wrong place.
        let projected = sso.mint_workload_token(ticket.service_account(), "token-broker");
        self.assertion_is_secret(&projected);
        self.issue(&projected, &secret, &read).await.expect_err("refused");
        self.issue(&good, &projected, &read).await.expect("the right place");
    }

    /// Addresses nobody was given, with things in them that nobody should repeat.
    async fn strangers_on_the_pages(&mut self) {
        let canary = "canary-in-an-address-0815";
        self.evidence.secret("canary in an address", canary);
        let browser = self.browser();
        let web = self.site.web_url();
        browser.plant_cookie(&web, &format!("__Host-session={canary}; Secure; Path=/"));
        browser.plant_cookie(&web, &format!("other={canary}; Path=/"));
        for path in [
            format!("/{canary}"),
            format!("/consent/{canary}"),
            format!("/consent/x?token={canary}"),
            format!("/connections?{canary}"),
            format!("/oauth/callback/notes?code={canary}&state={canary}&iss={canary}"),
            format!("/oauth/callback/notes?error={canary}&error_description={canary}&state=x"),
            format!("/oauth/callback/{canary}?code=x&state=x"),
            format!("/login/callback?code={canary}&state={canary}"),
        ] {
            let page = self.keep(browser.get(&format!("{web}{path}")).await);
            assert!(page.status < 500, "{path}: {}", page.describe());
        }
        let form = [("csrf", canary), ("username", canary)];
        self.keep(browser.post_from(&web, &format!("{web}/logout"), &form).await);
    }

    async fn provider_faults(&mut self) {
        let secret = self.site.secret(Workload::TicketHelper).to_owned();
        let (alice, bob) =
            (self.assertion(&ALICE, Workload::TicketHelper), self.assertion(&BOB, Workload::TicketHelper));
        self.site.notes().script(Fault::MalformedJson, 1);
        self.issue(&bob, &secret, &["notes.write"]).await.expect_err("the provider talks nonsense");
        self.site.notes().script(Fault::Refuse(400, "invalid_grant"), 1);
        let outcome = self.issue(&alice, &secret, &["notes.write"]).await.expect("an outcome");
        assert!(matches!(outcome, Outcome::ConsentRequired(_)), "the provider ended the connection");
    }

    async fn lists(&mut self, link: &str) {
        let secret = self.site.secret(Workload::TicketHelper).to_owned();
        let assertion = Some(self.assertion(&ALICE, Workload::TicketHelper));
        let mut request = Request::new(ListConnectionsRequest { assertion, ..Default::default() });
        authorize(&mut request, &secret);
        let listed = ConnectionServiceClient::new(self.channel.clone()).list_connections(request).await;
        self.evidence.wrote(Place::Rpc, "connections", format!("{:?}", listed.expect("a list")));
        let operator = self.site.operator_assertion(&AUDITOR);
        self.assertion_is_secret(&operator);
        let request =
            ListAuditEventsRequest { assertion: Some(operator), page_size: 500, ..Default::default() };
        let listed = AuditServiceClient::new(self.channel.clone()).list_audit_events(request).await;
        self.evidence.wrote(Place::Rpc, "audit events", format!("{:?}", listed.expect("a list")));
        let mut request = Request::new(GetConsentRequest { consent_id: link.to_owned(), assertion: None });
        authorize(&mut request, &secret);
        let status = ConsentServiceClient::new(self.channel.clone()).get_consent(request).await;
        self.status(&status.expect_err("a link is no id"));
    }

    async fn disconnect(&mut self, browser: &Browser) {
        let page = self.keep(browser.get(&format!("{}/connections", self.site.web_url())).await);
        let page = self.keep(page.click("Disconnect").await);
        let page = page.form("/disconnect").expect("the question").submit("Disconnect").await;
        let page = self.keep(page);
        assert_eq!(page.status, 200, "{}", page.describe());
    }
}

pub(super) fn authorize<T>(request: &mut Request<T>, secret: &str) {
    let bearer = format!("Bearer {secret}").parse().expect("a header");
    request.metadata_mut().insert("authorization", bearer);
}
