use super::house::House;
use broker_tests::http1::{self, Reply};

const FORM: &str = "application/x-www-form-urlencoded";
const PATH: &str = "/logout/backchannel/sso";

/// What a server is told: JSON, under the same headers as every page, with nothing of the value in it.
fn told(reply: &Reply, what: &str, status: u16) {
    assert_eq!(reply.status, status, "{what}: {}", reply.body);
    reply.check_headers(what);
    assert_eq!(reply.header("content-type"), Some("application/json"), "{what}");
    let body: serde_json::Value = serde_json::from_str(&reply.body).expect("JSON");
    assert_eq!(body["error"], "invalid_request", "{what}");
    assert!(!reply.body.contains("mark"), "{what}: {}", reply.body);
    assert_eq!(reply.header("set-cookie"), None, "{what}");
}

/// Proves: CO16
#[tokio::test]
async fn co16_a_logout_request_that_is_none_is_told_so_and_ends_nothing() {
    let house = House::open().await;
    let alice = house.alice().await;
    let before = house.rpc.events().await.len();
    let send = async |path: &str, kind: &str, body: &str| {
        let headers = [("content-type", kind), ("cookie", alice.cookies.as_str())];
        http1::send(house.web, "POST", path, &headers, body.as_bytes()).await
    };
    for part in ["x", "%00", "..%2fsso", "%2e%2e", "SSO", "sso%20", "%3Cmark%3E", "{issuer}", "-"] {
        let path = format!("/logout/backchannel/{part}");
        told(&send(&path, FORM, "logout_token=mark").await, part, 404);
    }
    told(&send("/logout/backchannel/%ff", FORM, "logout_token=mark").await, "not UTF-8", 404);
    let long = "a".repeat(3_000_000);
    for (what, kind, body, status) in [
        ("nothing", FORM, String::new(), 400),
        ("an empty token", FORM, "logout_token=".to_owned(), 400),
        ("a word", FORM, "logout_token=mark".to_owned(), 400),
        ("three words", FORM, "logout_token=mark.mark.mark".to_owned(), 400),
        ("two tokens", FORM, "logout_token=a.b.c&logout_token=a.b.c".to_owned(), 400),
        ("not UTF-8", FORM, "logout_token=%ff".to_owned(), 400),
        ("a control character", FORM, "logout_token=%00%0d%0amark".to_owned(), 400),
        ("many fields", FORM, "a=b&".repeat(40), 400),
        ("a long token", FORM, format!("logout_token={}", "a".repeat(9000)), 400),
        ("a large body", FORM, format!("logout_token={}", "a".repeat(20_000)), 413),
        ("a huge body", FORM, format!("logout_token={long}"), 413),
        ("JSON", "application/json", r#"{"logout_token":"mark"}"#.to_owned(), 415),
        ("a bare token", "application/jwt", "a.b.c".to_owned(), 415),
        ("no type", "", "logout_token=a.b.c".to_owned(), 415),
    ] {
        told(&send(PATH, kind, &body).await, what, status);
    }
    assert_eq!(house.rpc.events().await.len(), before, "no row");
    let page = house.get("/connections", &[("cookie", &alice.cookies)]).await;
    assert_eq!(page.status, 200, "still signed in");
    house.close().await;
}
