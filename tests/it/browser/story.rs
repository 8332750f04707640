use broker_client::ConsentRequired;
use broker_client::proto::ConsentState;
use broker_tests::chromium::{Chromium, Look, Profile, Tab};
use broker_tests::composite::{Composite, TASKS};
use broker_tests::database::Event;
use broker_tests::stage::Stage;
use demo::oauth::Client;
use demo::world::{ALICE, Account, Options, PROVIDER, Person, Workload};
use std::fs;

pub const ASK: &str = "Allow Ticket helper to use Notes?";
pub const CONFIRM: &str = "Is this the right account?";
pub const DONE: &str = "Done";
pub const SIGN_IN: &str = "Sign in";
pub const AT_NOTES: &str = "Sign in to Notes";
pub const NOTES_ASKS: &str = "Allow access?";
pub const LEAVING: &str = "Taking you to 127.0.0.1";
pub const CONNECTIONS: &str = "Your connections";

/// A world whose pages have another host than the sign-in and the SaaS, so that every way there and back crosses sites; and
/// a browser.
pub struct Story {
    duo: Composite,
    pub chromium: Chromium,
    pub origin: String,
}

impl Story {
    pub async fn begin() -> Story {
        Story::with(Options::default()).await
    }

    pub async fn with(options: Options) -> Story {
        let amend = options.amend_config;
        let amend_config = move |config: String| {
            let config = config.replace("public_url: \"http://127.0.0.1", "public_url: \"http://localhost");
            match amend {
                Some(amend) => amend(config),
                None => config,
            }
        };
        let options = Options { amend_config: Some(Box::new(amend_config)), ..options };
        let (duo, chromium) = tokio::join!(Composite::with(options), Chromium::start());
        let origin = format!("http://localhost:{}", duo.stage.world.addresses().web.port());
        register(&duo.stage, &origin);
        Story { duo, chromium, origin }
    }

    pub fn stage(&self) -> &Stage {
        &self.duo.stage
    }

    pub fn duo(&self) -> &Composite {
        &self.duo
    }

    /// What the ticket helper has to ask alice for.
    pub async fn asked(&self, scopes: &[&str]) -> ConsentRequired {
        self.stage().consent(&ALICE, Workload::TicketHelper, scopes).await
    }

    /// A new browser in which somebody has opened this and signed in.
    pub async fn opened(&self, person: &Person, url: &str) -> (Profile, Tab) {
        let profile = self.chromium.profile().await;
        let tab = profile.tab().await;
        tab.open(url).await;
        sign_in(&tab, &person.sso).await;
        (profile, tab)
    }

    /// How a consent of the ticket helper stands.
    pub async fn state(&self, consent: &ConsentRequired) -> ConsentState {
        let client = self.stage().client(Workload::TicketHelper);
        client.get_consent(&consent.consent_id, None).await.expect("the consent").state()
    }

    pub async fn events(&self) -> Vec<Event> {
        self.stage().database().await.events().await
    }

    /// How many events of a kind the log has.
    pub async fn count(&self, kind: &str) -> usize {
        self.events().await.iter().filter(|event| event.kind == kind).count()
    }

    /// Codes that were exchanged at the SaaS.
    pub fn exchanged(&self) -> usize {
        use demo::saas::Event::TokensIssued;
        self.stage().world.notes().truth().iter().filter(|event| matches!(event, TokensIssued { .. })).count()
    }

    /// Where the SaaS is.
    pub fn notes(&self) -> &str {
        self.stage().world.notes().origin()
    }

    pub async fn end(self) {
        self.chromium.close().await;
        self.duo.stop().await;
    }
}

/// Makes the pages' own host known at the SSO and the SaaS.
fn register(stage: &Stage, origin: &str) {
    let secret = |file: &str| fs::read_to_string(stage.world.path(file)).expect("the secret");
    let client = |id: &str, file: &str, paths: &[&str]| Client {
        id: id.to_owned(),
        name: "Token broker".to_owned(),
        secret: secret(file),
        redirect_uris: paths.iter().map(|path| format!("{origin}{path}")).collect(),
    };
    stage.world.sso().register_client(client("broker-pages", "sso-client-secret", &["/login/callback"]));
    let callbacks = [PROVIDER, TASKS].map(|provider| format!("/oauth/callback/{provider}"));
    let callbacks = [callbacks[0].as_str(), callbacks[1].as_str()];
    stage.world.notes().register_client(client("broker", "notes-client-secret", &callbacks));
}

/// Fills in the company's sign-in.
pub async fn sign_in(tab: &Tab, account: &Account) {
    tab.sees(SIGN_IN).await;
    tab.fill("User name", account.name).await;
    tab.fill("Password", account.password).await;
    tab.press("Sign in").await;
}

/// Fills in the sign-in of the SaaS; answers when it asks whether to allow.
pub async fn sign_in_at_notes(tab: &Tab, account: &Account) {
    tab.sees(AT_NOTES).await;
    tab.fill("Account", account.name).await;
    tab.fill("Password", account.password).await;
    tab.press("Sign in").await;
    tab.sees(NOTES_ASKS).await;
}

/// From the page that asks to the one that wants the account confirmed.
pub async fn to_confirmation(tab: &Tab, account: &Account) -> Look {
    tab.press("Allow").await;
    sign_in_at_notes(tab, account).await;
    tab.press("Allow").await;
    tab.sees(CONFIRM).await
}
