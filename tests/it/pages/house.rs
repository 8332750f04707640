use std::net::SocketAddr;

use broker_proto::v1::issue_grant_response::Outcome;
use broker_tests::{
    http1::{self, Reply},
    rpc::Rpc,
};
use demo::{
    browser::{Browser, Page},
    walk,
    world::{ALICE, Person, Workload},
};

/// A broker with pages, and who looks at them.
pub struct House {
    pub rpc: Rpc,
    pub web: SocketAddr,
}

/// A signed-in browser as a client of raw bytes sees it.
pub struct Visitor {
    pub browser: Browser,
    /// The `Cookie` header it would send.
    pub cookies: String,
}

impl House {
    pub async fn open() -> House {
        House::of(Rpc::start().await)
    }

    pub fn of(rpc: Rpc) -> House {
        House { web: rpc.world.addresses().web, rpc }
    }

    pub fn origin(&self) -> String {
        self.rpc.world.web_url()
    }

    /// A consent's link and its handle.
    pub async fn consent(&self, person: &Person, workload: Workload) -> (String, String) {
        match self.rpc.ask(person, workload).await {
            Outcome::ConsentRequired(consent) => {
                let handle = consent.url.rsplit('/').next().expect("a handle").to_owned();
                (consent.url, handle)
            }
            Outcome::Grant(_) => panic!("nobody connected anything yet"),
        }
    }

    /// Somebody signed in, at the page where they meant to go.
    pub async fn visitor(&self, person: &Person, url: &str) -> (Visitor, Page) {
        let browser = self.rpc.world.browser().expect("a browser");
        let page =
            walk::sign_in(browser.get(url).await.expect("opens"), &person.sso).await.expect("signs in");
        let pairs: Vec<String> = browser
            .cookies(&self.origin())
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        (Visitor { browser, cookies: pairs.join("; ") }, page)
    }

    pub async fn alice(&self) -> Visitor {
        let url = format!("{}/connections", self.origin());
        self.visitor(&ALICE, &url).await.0
    }

    pub async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        http1::send(self.web, "GET", path, headers, b"").await
    }

    /// A form from our own page.
    pub async fn post(&self, path: &str, cookies: &str, body: &str) -> Reply {
        let origin = self.origin();
        let headers = [
            ("origin", origin.as_str()),
            ("sec-fetch-site", "same-origin"),
            ("content-type", "application/x-www-form-urlencoded"),
            ("cookie", cookies),
        ];
        http1::send(self.web, "POST", path, &headers, body.as_bytes()).await
    }

    pub async fn close(self) {
        self.rpc.stop().await;
    }
}
