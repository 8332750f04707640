//! Nothing that a caller says makes the broker call anywhere.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use broker_proto::v1::IssueGrantRequest;
use broker_tests::{http1, rpc};
use demo::world::{ALICE, Workload::TicketHelper};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};

use super::house::House;

/// A server that keeps who came. Loopback is a network that the broker's own endpoints are allowed in, so that only the rule under test
/// keeps the broker away from here.
struct Lure {
    url: String,
    visitors: Arc<Mutex<Vec<SocketAddr>>>,
}

impl Lure {
    async fn lay() -> Lure {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let visitors = Arc::new(Mutex::new(Vec::new()));
        let book = Arc::clone(&visitors);
        tokio::spawn(async move {
            while let Ok((_, visitor)) = listener.accept().await {
                book.lock().expect("no holder panicked").push(visitor);
            }
        });
        Lure { url, visitors }
    }

    /// How many came before now. Visitors are let in in order: once one of our own is, all earlier ones are.
    async fn visits(&self) -> usize {
        let own = TcpStream::connect(self.url.trim_start_matches("http://")).await.expect("the lure answers");
        let own = own.local_addr().expect("an address");
        loop {
            let place = self.visitors.lock().expect("no holder panicked").iter().position(|one| *one == own);
            match place {
                Some(place) => return place,
                None => tokio::task::yield_now().await,
            }
        }
    }
}

fn claims(token: &str) -> Value {
    let body = token.split('.').nth(1).expect("a JWT");
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).expect("base64url")).expect("JSON")
}

/// An endpoint in any field, claim, header parameter, path, query, form or HTTP header is refused or without effect.
///
/// Proves: NE1
#[tokio::test]
async fn ne1_no_value_of_a_caller_is_an_endpoint_to_call() {
    let (house, lure) = (House::open().await, Lure::lay().await);
    let (sso, url) = (house.rpc.world.sso(), lure.url.as_str());
    let sound = house.rpc.grant_request(&ALICE, TicketHelper);
    let audience = claims(&sound.assertion)["aud"].as_str().expect("one audience").to_owned();
    let key_at = |header: Value| sso.mint_raw(header, &claims(&sound.assertion));
    let jwks = format!("{url}/jwks");
    let assertions = [
        sso.mint_with(ALICE.sso.name, &audience, json!({ "iss": url })),
        sso.mint_with(ALICE.sso.name, &audience, json!({ "iss": url, "jwks_uri": jwks })),
        sso.mint_with(ALICE.sso.name, &audience, json!({ "_claim_sources": { "a": { "endpoint": url } } })),
        key_at(json!({ "jku": jwks })),
        key_at(json!({ "jku": jwks, "kid": "somebody-else" })),
        key_at(json!({ "x5u": format!("{url}/chain.pem") })),
        key_at(json!({ "kid": jwks })),
    ];
    for assertion in assertions {
        let call = house.rpc.by(TicketHelper, changed(&sound, |request| request.assertion = assertion));
        drop(rpc::in_time(house.rpc.grants().issue_grant(call)).await);
    }
    let fields: [fn(&mut IssueGrantRequest, String); 5] = [
        |request, url| request.provider = url,
        |request, url| request.resource = Some(url),
        |request, url| request.scopes = vec![url],
        |request, url| request.connection = Some(url),
        |request, url| request.tool = url,
    ];
    for field in fields {
        let call = house.rpc.by(TicketHelper, changed(&sound, |request| field(request, url.to_owned())));
        drop(rpc::in_time(house.rpc.grants().issue_grant(call)).await);
    }
    let account = TicketHelper.service_account();
    let credential = sso.mint_workload_with(account, "token-broker", json!({ "iss": url }));
    let call = rpc::with(&format!("Bearer {credential}"), sound.clone());
    rpc::in_time(house.rpc.grants().issue_grant(call)).await.expect_err("nobody's workload");

    let (_, handle) = house.consent(&ALICE, TicketHelper).await;
    let told: String = url::form_urlencoded::byte_serialize(url.as_bytes()).collect();
    for path in [
        format!("/callback?code=c&state=s&iss={told}"),
        format!("/login/callback?code=c&state=s&iss={told}"),
        format!("/login/start?realm={told}"),
        format!("/login/start?realm=staff&return={told}"),
        format!("/consent/{handle}?redirect_uri={told}"),
    ] {
        for headers in
            [vec![], vec![("host", url.trim_start_matches("http://"))], vec![("x-forwarded-host", url)]]
        {
            house.get(&path, &headers).await;
        }
    }
    let logout = sso.mint_with(ALICE.sso.name, &audience, json!({ "iss": url }));
    let form = [("content-type", "application/x-www-form-urlencoded")];
    let body = format!("logout_token={logout}&iss={told}");
    http1::send(house.web, "POST", "/logout/backchannel/sso", &form, body.as_bytes()).await;
    house.rpc.background().await;

    assert_eq!(lure.visits().await, 0, "the broker called where a caller pointed");
    assert_eq!(lure.visits().await, 1, "and a call would have been counted");
    house.close().await;
}

fn changed(sound: &IssueGrantRequest, change: impl FnOnce(&mut IssueGrantRequest)) -> IssueGrantRequest {
    let mut request = sound.clone();
    change(&mut request);
    request
}
