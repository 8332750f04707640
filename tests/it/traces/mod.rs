//! Traces: one call told span by span, and a collector that is in nobody's way.

mod collector;
mod failing;
mod issuing;
mod refusing;

use broker_client::{Client, GrantRequest, Outcome};
use broker_tests::collector::Collector;
use broker_tests::process::BrokerProcess;
use demo::walk;
use demo::world::{ALICE, Options, PROVIDER, Site, Workload, World};

/// A world whose broker, a process of its own, sends its traces to a collector.
pub struct Traced {
    pub site: Site,
    pub collector: Collector,
    pub client: Client,
    pub broker: BrokerProcess,
}

/// What the collector wants to see in a header.
pub const KEY: &str = "collector-key-0123456789";

impl Traced {
    /// `more`: further keys of the section.
    pub async fn start(more: &str) -> Traced {
        let collector = Collector::start().await;
        let options = Options { extra_config: section(&collector, more), ..options() };
        Traced::on(World::prepare(options).await.expect("prepared"), collector).await
    }

    pub async fn on(site: Site, collector: Collector) -> Traced {
        std::fs::write(site.path("collector-key"), KEY).expect("written");
        let mut broker = BrokerProcess::serve(site.directory(), "broker.yaml");
        broker.listening().await;
        let client = site.client(Workload::TicketHelper).await.expect("a client");
        Traced { site, collector, client, broker }
    }

    pub fn request(&self, scopes: &[&str]) -> GrantRequest {
        let assertion = self.site.assertion(&ALICE, Workload::TicketHelper);
        GrantRequest::new(assertion, PROVIDER, scopes.iter().copied())
    }

    /// Alice connects her notes, for reading and writing.
    pub async fn connect(&self) {
        let asked = self.client.issue_grant(&self.request(&["notes.read", "notes.write"])).await;
        let Ok(Outcome::ConsentRequired(consent)) = asked else { panic!("a consent") };
        let browser = self.site.browser().expect("a browser");
        walk::connect(&browser, consent.url.expose(), &ALICE.sso, &ALICE.notes).await.expect("connected");
    }

    /// The words of a tree with this world's addresses in them.
    pub fn plain(&self, tree: &str) -> String {
        let notes = self.site.notes().origin();
        let port = notes.rsplit(':').next().expect("a port").trim_end_matches('/');
        tree.replace(notes.trim_end_matches('/'), "NOTES")
            .replace(&format!("server.port={port}"), "server.port=NOTES")
    }
}

pub fn options() -> Options {
    let amend = |text: String| text.replace("log: { level: warn }", "log: { level: info, format: json }");
    Options { amend_config: Some(Box::new(amend)), ..Options::default() }
}

pub fn section(collector: &Collector, more: &str) -> String {
    format!(
        "telemetry:\n  endpoint: \"{}\"\n  headers: {{ x-collector-key: \"${{file:collector-key}}\" }}\n  {more}\n",
        collector.url()
    )
}
