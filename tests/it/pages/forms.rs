use super::house::House;
use broker_proto::v1::{ConsentState, GetConsentRequest, issue_grant_response::Outcome};
use broker_tests::http1;
use demo::world::{
    ALICE, BOB,
    Workload::{ReportWriter, TicketHelper},
};

const FORM: &str = "application/x-www-form-urlencoded";

/// Proves: CO6
#[tokio::test]
async fn co6_a_form_counts_only_from_our_own_page_by_the_browsers_word() {
    let house = House::open().await;
    let (link, handle) = house.consent(&ALICE, TicketHelper).await;
    let (alice, page) = house.visitor(&ALICE, &link).await;
    let token = page.form("/decline").expect("a form").value("csrf").expect("a token").to_owned();
    let (path, body, origin) =
        (format!("/consent/{handle}/decline"), format!("csrf={token}"), house.origin());
    let upper = origin.to_uppercase();
    let slash = format!("{origin}/");
    let refused: [&[(&str, &str)]; 16] = [
        &[],
        &[("origin", "null")],
        &[("origin", "")],
        &[("origin", "https://evil.example")],
        &[("origin", &slash)],
        &[("origin", &upper)],
        &[("origin", "http://127.0.0.1")],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        &[("sec-fetch-site", "")],
        &[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")],
        &[("sec-fetch-site", "cross-site"), ("origin", &origin)],
        &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "same-origin")],
        &[("origin", &origin), ("origin", &origin)],
        &[("referer", &origin)],
    ];
    for headers in refused {
        let headers = [&[("content-type", FORM), ("cookie", &alice.cookies)], headers].concat();
        let reply = http1::send(house.web, "POST", &path, &headers, body.as_bytes()).await;
        reply.check_error(&format!("{:?}", &headers[2..]), 403);
    }
    for (what, body, status) in [
        ("no token", String::new(), 403),
        ("empty token", "csrf=".to_owned(), 403),
        ("cut token", format!("csrf={}", &token[1..]), 403),
        ("two tokens", format!("csrf={token}&csrf={token}"), 400),
        ("a huge token", format!("csrf={}", "a".repeat(300)), 400),
        ("a huge body", format!("csrf={token}&x={}", "a".repeat(20_000)), 413),
        ("a very huge body", format!("csrf={token}&x={}", "a".repeat(3_000_000)), 413),
        ("many fields", format!("csrf={token}&{}", "a=b&".repeat(40)), 400),
        ("not UTF-8", "csrf=%ff".to_owned(), 400),
        (
            "for another action",
            {
                let other = page.form("/approve").expect("a form");
                format!("csrf={}", other.value("csrf").expect("a token"))
            },
            403,
        ),
    ] {
        house.post(&path, &alice.cookies, &body).await.check_error(what, status);
    }
    for kind in [
        "application/json",
        "text/plain",
        "multipart/form-data; boundary=x",
        "",
        "application/x-www-form-urlencodedx",
    ] {
        let headers = [("origin", origin.as_str()), ("content-type", kind), ("cookie", &alice.cookies)];
        http1::send(house.web, "POST", &path, &headers, body.as_bytes()).await.check_error(kind, 415);
    }
    let headers = [("origin", origin.as_str()), ("cookie", &alice.cookies)];
    http1::send(house.web, "POST", &path, &headers, body.as_bytes()).await.check_error("no type", 415);

    let Outcome::ConsentRequired(consent) = house.rpc.ask(&ALICE, TicketHelper).await else {
        panic!("it is open")
    };
    let named = GetConsentRequest { consent_id: consent.consent_id, assertion: None };
    let read =
        house.rpc.consents().get_consent(house.rpc.by(TicketHelper, named)).await.expect("it is there");
    assert_eq!(read.into_inner().consent.expect("a consent").state(), ConsentState::Pending, "still");
    let reply = house.post(&path, &alice.cookies, &body).await;
    assert_eq!(reply.status, 303, "the sound form counts: {}", reply.body);
    house.close().await;
}

/// Proves: CO2, CO6
#[tokio::test]
async fn co2_another_persons_session_form_and_handle_do_not_mix() {
    let house = House::open().await;
    let (link, handle) = house.consent(&ALICE, TicketHelper).await;
    let (bobs_link, bobs_handle) = house.consent(&BOB, ReportWriter).await;
    let (alice, alices) = house.visitor(&ALICE, &link).await;
    let (bob, bobs) = house.visitor(&BOB, &bobs_link).await;
    let token = |page: &demo::browser::Page| {
        page.form("/approve").expect("a form").value("csrf").expect("a token").to_owned()
    };
    let (alices, bobs) = (token(&alices), token(&bobs));
    for (what, path, cookies, token) in [
        ("bob with alice's form", &handle, &bob.cookies, &alices),
        ("bob with his own form on her link", &handle, &bob.cookies, &bobs),
        ("alice with bob's form", &handle, &alice.cookies, &bobs),
        ("alice on bob's link", &bobs_handle, &alice.cookies, &alices),
        ("nobody with alice's form", &handle, &String::new(), &alices),
    ] {
        for action in ["approve", "decline", "confirm", "reject"] {
            let reply =
                house.post(&format!("/consent/{path}/{action}"), cookies, &format!("csrf={token}")).await;
            reply.check_error(what, 403);
        }
    }
    let reply = house
        .post(&format!("/consent/{handle}/approve"), &alice.cookies, &format!("csrf={alices}&connection=x"))
        .await;
    reply.check_error("an account that is none", 400);
    house.close().await;
}
