use super::house::House;
use broker_proto::v1::{IssueGrantRequest, issue_grant_response::Outcome};
use broker_tests::rpc::{Rpc, in_time};
use demo::{
    walk,
    world::{ALICE, Options, Workload::TicketHelper},
};

/// Texts that would do something on a page that does not escape.
const TEXTS: [&str; 7] = [
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "'-alert(1)-'",
    "</title></style><svg onload=alert(1)>",
    "&lt;script&gt; &amp; &#x3c;",
    "{{constructor.constructor('x')()}} ${7*7}",
    "<!-- --><a href=x>click</a>",
];

fn harmless(html: &str) -> bool {
    let lower = html.to_lowercase();
    !["<script", "<img", "<svg", "<a href=x", "<!-- -->"].iter().any(|bad| lower.contains(bad))
}

/// Proves: CO7
#[tokio::test]
async fn co7_the_servers_words_are_text_on_the_page_whatever_they_are() {
    let house = House::open().await;
    for text in TEXTS {
        let request = IssueGrantRequest {
            tool: text.to_owned(),
            purpose: format!("{text} 2"),
            ..house.rpc.grant_request(&ALICE, TicketHelper)
        };
        let answer = in_time(house.rpc.grants().issue_grant(house.rpc.by(TicketHelper, request)))
            .await
            .expect("an outcome");
        let Some(Outcome::ConsentRequired(consent)) = answer.into_inner().outcome else {
            panic!("not connected")
        };
        let (_, page) = house.visitor(&ALICE, &consent.url).await;
        assert_eq!(page.status, 200);
        assert!(harmless(page.html()), "{text}: {}", page.html());
        assert!(page.text().contains("Ticket helper"), "{}", page.text());
        let declined = walk::decline(page.clone()).await.expect("declines");
        assert!(harmless(declined.html()), "{text}: {}", declined.html());
        // Shown, not dropped: people see what the server said, to the letter.
        let shown = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        assert!(
            page.html().contains(&shown) || page.html().contains(&shown.replace('"', "&quot;")),
            "{text}: {}",
            page.html()
        );
    }
    house.close().await;
}

/// Proves: CO7, CO12
#[tokio::test]
async fn co12_a_providers_words_and_the_operators_names_are_text_too() {
    let amend = |text: String| {
        text.replace("display_name: Notes", "display_name: '<script>notes</script>'")
            .replace("display_name: Ticket helper", "display_name: '<img src=x onerror=t>'")
            .replace("Read your notes", "<svg onload=x>")
    };
    let house = House::of(
        Rpc::start_with(Options { amend_config: Some(Box::new(amend)), ..Options::default() }).await,
    );
    let (link, _) = house.consent(&ALICE, TicketHelper).await;
    let (alice, page) = house.visitor(&ALICE, &link).await;
    assert!(
        page.text().contains("<script>notes</script>") && page.text().contains("<img src=x onerror=t>"),
        "{}",
        page.text()
    );
    assert!(harmless(page.html()), "{}", page.html());

    alice.browser.hold_before(Some(&format!("{}/oauth/callback", house.origin())));
    let page = walk::approve(page).await.expect("approves");
    let held = walk::allow(page, &ALICE.notes).await.expect("allows");
    let mut back = held.location().expect("held on the way back");
    let state = back.query_pairs().find(|(name, _)| name == "state").expect("a state").1.into_owned();
    let iss = back.query_pairs().find(|(name, _)| name == "iss").expect("an issuer").1.into_owned();
    let said = format!("{}\u{202e}\r\nset-cookie: a=b", TEXTS[0]);
    back.query_pairs_mut().clear().extend_pairs([
        ("state", state.as_str()),
        ("iss", &iss),
        ("error", "access_denied"),
        ("error_description", &said),
    ]);
    alice.browser.hold_before(None);
    let page = alice.browser.get(back.as_str()).await.expect("an answer");
    assert!(harmless(page.html()) && !page.html().contains('\u{202e}'), "{}", page.html());
    assert!(page.header("set-cookie").is_none_or(|cookie| !cookie.contains("a=b")));
    assert!(page.text().contains("alert(1)"), "what the provider said is shown as text: {}", page.text());
    house.close().await;
}

/// Proves: CO11
#[tokio::test]
async fn an_accounts_label_is_text_on_every_page_that_shows_it() {
    use axum::{Json, Router, routing::get};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let label = format!("{}\u{202e}{}", TEXTS[0], TEXTS[1]);
    let answer = serde_json::json!({ "id": "acct-1", "label": label });
    let me = Router::new().route("/me", get(move || async move { Json(answer) }));
    let server = tokio::spawn(async move { axum::serve(listener, me).await });
    let amend = move |text: String| {
        let lines = text.lines().map(|line| match line.trim_start().starts_with("account:") {
            true => format!(
                "    account: {{ url: \"http://{address}/me\", id_pointer: /id, label_pointer: /label }}"
            ),
            false => line.to_owned(),
        });
        lines.collect::<Vec<_>>().join("\n")
    };
    let house = House::of(
        Rpc::start_with(Options { amend_config: Some(Box::new(amend)), ..Options::default() }).await,
    );
    let (link, _) = house.consent(&ALICE, TicketHelper).await;
    let (alice, page) = house.visitor(&ALICE, &link).await;
    let page = walk::allow(walk::approve(page).await.expect("approves"), &ALICE.notes).await.expect("allows");
    assert!(page.text().contains("alert(1)") && harmless(page.html()), "{}", page.html());
    assert!(!page.html().contains('\u{202e}'), "{}", page.html());
    let page = walk::confirm(page).await.expect("confirms");
    assert!(harmless(page.html()), "{}", page.html());
    let page = alice.browser.get(&format!("{}/connections", house.origin())).await.expect("opens");
    assert!(page.text().contains("alert(1)") && harmless(page.html()), "{}", page.html());
    house.close().await;
    server.abort();
}
