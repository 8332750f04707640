use super::house::House;
use broker_tests::http1;
use demo::world::{ALICE, Workload::TicketHelper};

const GETS: [&str; 8] = [
    "/",
    "/style.css",
    "/login/start",
    "/login/callback",
    "/consent/@",
    "/oauth/callback/notes",
    "/connections",
    "/connections/con_00000000000000000000000000/disconnect",
];
const POSTS: [&str; 7] = [
    "/login/switch",
    "/logout",
    "/logout/backchannel/@",
    "/consent/@/approve",
    "/consent/@/decline",
    "/consent/@/confirm",
    "/consent/@/reject",
];

/// Proves: CO6
#[tokio::test]
async fn co6_a_method_that_a_page_does_not_have_is_refused_and_nothing_happens() {
    let house = House::open().await;
    let (link, handle) = house.consent(&ALICE, TicketHelper).await;
    let (alice, _) = house.visitor(&ALICE, &link).await;
    let before = house.rpc.events().await.len();
    for path in GETS.iter().chain(&POSTS).map(|path| path.replace('@', &handle)) {
        for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "get", "X"] {
            let reply = http1::send(house.web, method, &path, &[("cookie", &alice.cookies)], b"").await;
            reply.check_error(&format!("{method} {path}"), 405);
        }
    }
    for path in POSTS.iter().map(|path| path.replace('@', &handle)) {
        for method in ["GET", "HEAD"] {
            let reply = http1::send(house.web, method, &path, &[("cookie", &alice.cookies)], b"").await;
            assert_eq!(reply.status, 405, "{method} {path}");
            reply.check_headers(&path);
        }
    }
    for path in
        GETS.iter().filter(|path| !path.ends_with("disconnect")).map(|path| path.replace('@', &handle))
    {
        house.post(&path, &alice.cookies, "").await.check_error(&format!("POST {path}"), 405);
        let reply = http1::send(house.web, "HEAD", &path, &[("cookie", &alice.cookies)], b"").await;
        assert!(reply.status < 400 && reply.body.is_empty(), "HEAD {path}: {}", reply.status);
        reply.check_headers(&path);
    }
    assert_eq!(house.rpc.events().await.len(), before, "nothing happened");
    house.close().await;
}

/// Proves: CO6, CO7
#[tokio::test]
async fn co7_every_page_and_every_redirect_has_the_headers() {
    let house = House::open().await;
    let (link, handle) = house.consent(&ALICE, TicketHelper).await;
    for path in GETS.iter().map(|path| path.replace('@', &handle)) {
        house.get(&path, &[]).await.check_headers(&path);
    }
    let (alice, _) = house.visitor(&ALICE, &link).await;
    for path in GETS.iter().map(|path| path.replace('@', &handle)) {
        house.get(&path, &[("cookie", &alice.cookies)]).await.check_headers(&path);
    }
    let icon = house.get("/favicon.ico", &[]).await;
    icon.check_headers("favicon");
    house.close().await;
}
