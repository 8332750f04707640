use std::net::SocketAddr;

use broker_client::ConsentRequired;
use broker_client::proto::ConsentState;
use broker_tests::composite::{Composite, item, open};
use broker_tests::http1::{self, Reply};
use broker_tests::stage::{READ, READ_WRITE};
use demo::browser::{Browser, Page};
use demo::walk;
use demo::world::{ALICE, PROVIDER, Workload::TicketHelper};

/// The only content type of a form.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// alice is signed in; she has a connection, a consent that widens it, and a page that leads through two.
pub struct Scene {
    pub duo: Composite,
    pub web: SocketAddr,
    pub browser: Browser,
    pub step_up: ConsentRequired,
    /// Handles and ids, as they stand in paths.
    pub consent: String,
    pub parent: String,
    pub connection: String,
}

impl Scene {
    pub async fn set() -> Scene {
        let duo = Composite::start().await;
        let held = duo.stage.connect(&ALICE, TicketHelper, READ).await;
        let step_up = duo.stage.consent(&ALICE, TicketHelper, READ_WRITE).await;
        let required = duo.needed(&ALICE, vec![item(PROVIDER, READ_WRITE), item("tasks", READ)]).await;
        let browser = duo.browser();
        open(&browser, step_up.url.expose(), &ALICE).await;
        let last = |link: &str| link.rsplit('/').next().expect("a handle").to_owned();
        Scene {
            web: duo.stage.world.addresses().web,
            consent: last(step_up.url.expose()),
            parent: last(&required.url),
            connection: held.connection_id,
            browser,
            step_up,
            duo,
        }
    }

    pub fn origin(&self) -> String {
        self.duo.stage.world.web_url()
    }

    /// The `Cookie` header that her browser would send.
    pub fn cookies(&self) -> String {
        let held = self.browser.cookies(&self.origin());
        held.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    /// Every page that is there for her.
    pub fn pages(&self) -> [String; 9] {
        [
            format!("/consent/{}", self.consent),
            format!("/consents/{}", self.parent),
            "/connections".to_owned(),
            format!("/connections/{}/disconnect", self.connection),
            "/login/start".to_owned(),
            "/login/callback".to_owned(),
            format!("/oauth/callback/{PROVIDER}"),
            "/style.css".to_owned(),
            "/".to_owned(),
        ]
    }

    /// Every form of hers: where it goes, and on which page it stands.
    pub fn forms(&self) -> [(String, String); 4] {
        let (consent, connection) =
            (format!("/consent/{}", self.consent), format!("/connections/{}/disconnect", self.connection));
        [
            (format!("{consent}/approve"), consent.clone()),
            (format!("{consent}/decline"), consent),
            (connection.clone(), connection),
            ("/logout".to_owned(), "/connections".to_owned()),
        ]
    }

    /// She approves and allows it at the provider; what is left is to say whether the account is right.
    pub async fn bring_an_account(&self) -> Page {
        let page = walk::approve(self.page(&format!("/consent/{}", self.consent)).await).await;
        walk::allow(page.expect("approved"), &ALICE.notes).await.expect("allowed")
    }

    pub async fn page(&self, path: &str) -> Page {
        self.browser.get(&format!("{}{path}", self.origin())).await.expect("the page")
    }

    /// The token of the form at `action` on the page at `path`.
    pub async fn token(&self, path: &str, action: &str) -> String {
        let page = self.page(path).await;
        page.form(action).expect("its form").value("csrf").expect("a token").to_owned()
    }

    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        http1::send(self.web, "GET", path, headers, b"").await
    }

    /// A form, as from our own page in her browser, under these cookies.
    pub async fn post_with(&self, path: &str, kind: &str, cookies: &str, body: &[u8]) -> Reply {
        let origin = self.origin();
        let headers = [
            ("origin", origin.as_str()),
            ("sec-fetch-site", "same-origin"),
            ("content-type", kind),
            ("cookie", cookies),
        ];
        http1::send(self.web, "POST", path, &headers, body).await
    }

    pub async fn post(&self, path: &str, body: &str) -> Reply {
        self.post_with(path, FORM, &self.cookies(), body.as_bytes()).await
    }

    pub async fn events(&self) -> usize {
        self.duo.stage.database().await.events().await.len()
    }

    /// Nothing of hers has moved: the consent is open, the connection serves, the session stands.
    pub async fn check_untouched(&self, events: usize) {
        assert_eq!(self.events().await, events, "a row was written");
        assert_eq!(self.state().await, ConsentState::Pending);
        assert_eq!(self.page("/connections").await.status, 200);
        self.duo.stage.grant(&ALICE, TicketHelper, READ).await;
    }

    pub async fn state(&self) -> ConsentState {
        let client = self.duo.stage.client(TicketHelper);
        client.get_consent(&self.step_up.consent_id, None).await.expect("the consent").state()
    }

    pub async fn end(self) {
        self.duo.stop().await;
    }
}

/// One of our own answers, whatever was sent: no fault of ours, every header, and nothing of what was sent in it.
pub fn check_harmless(reply: &Reply, what: &str) {
    assert!(reply.status < 500, "{what}: {}", reply.body);
    reply.check_headers(what);
    let lower = reply.body.to_lowercase();
    for bad in ["xss-mark", "<script", "javascript:", "onerror", "\u{202e}", "\0"] {
        assert!(!lower.contains(bad), "{what} is repeated: {}", reply.body);
    }
    for (name, value) in &reply.headers {
        assert!(
            name != "x-injected" && !value.contains("xss-mark") && !value.contains("evil"),
            "{what}: {name}: {value}"
        );
    }
}
