//! What the pages refuse, and the headers around everything.

use super::house::{Got, House, ORIGIN, request, with_form};
use crate::{
    domain::{ConsentState, Reason, Refusal},
    transport::web::{
        Web,
        backchannel::LogoutGate,
        cookies,
        failure::{page_error, status},
        guard,
        login::Logins,
        return_path::ReturnPath,
    },
};
use axum::{
    Router,
    body::Body,
    http::{Method, header},
    middleware::from_fn_with_state,
    routing::get,
};
use std::sync::Arc;
use tower::ServiceExt;

/// Every route with what its path needs, and the methods it serves.
fn every_route() -> Vec<(String, &'static str)> {
    let handle = "h".repeat(43);
    let id = "con_00000000000000000000000000";
    let mut routes: Vec<(String, &str)> = [
        ("/", "GET"),
        ("/style.css", "GET"),
        ("/favicon.ico", "GET"),
        ("/login/start", "GET"),
        ("/login/callback", "GET"),
        ("/login/switch", "POST"),
        ("/logout", "POST"),
        ("/logout/backchannel/sso", "POST"),
        ("/oauth/callback/notes", "GET"),
        ("/connections", "GET"),
    ]
    .map(|(path, method)| (path.to_owned(), method))
    .to_vec();
    routes.push((format!("/consent/{handle}"), "GET"));
    for verb in ["approve", "decline", "confirm", "reject"] {
        routes.push((format!("/consent/{handle}/{verb}"), "POST"));
    }
    routes.push((format!("/consents/{handle}"), "GET"));
    routes.push((format!("/connections/{id}/disconnect"), "GET,POST"));
    routes
}

fn assert_guarded(got: &Got, about: &str) {
    let policy = got.header("content-security-policy");
    for part in ["default-src 'none'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"] {
        assert!(policy.contains(part), "{about}: {policy}");
    }
    assert!(!policy.contains("script-src") && !policy.contains("unsafe"), "{about}");
    for (name, value) in [
        ("cache-control", "no-store"),
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("strict-transport-security", "max-age=31536000"),
    ] {
        assert_eq!(got.header(name), value, "{about}: {name}");
    }
    assert!(got.headers.get(header::SERVER).is_none(), "{about}");
}

/// Proves: CO7
#[tokio::test]
async fn co7_every_answer_carries_the_headers_and_every_method_has_its_rule() {
    let house = House::open(None).await;
    let mut paths = every_route();
    paths.push(("/nowhere".into(), ""));
    paths.push((format!("/consent/{}/", "h".repeat(43)), ""));
    paths.push(("/consent/%ff".into(), "GET"));
    for (path, methods) in paths {
        for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS]
        {
            let about = format!("{method} {path}");
            let got = house.send(request(method.clone(), &path, "").body(Body::empty()).unwrap()).await;
            assert_guarded(&got, &about);
            let name = if method == Method::HEAD { "GET" } else { method.as_str() };
            let served = methods.contains(name);
            assert_eq!(got.status == 405, !served && !methods.is_empty(), "{about}: {}", got.status);
            assert_ne!(got.status, 500, "{about}");
            if methods.is_empty() {
                assert_eq!(got.status, 404, "{about}");
            }
            if got.status == 405 {
                assert!(got.header("allow").contains(&methods[..3]), "{about}: {}", got.header("allow"));
            }
            if method == Method::HEAD {
                assert!(got.body.is_empty() && got.set_cookies().is_empty(), "{about}");
            }
        }
    }
}

/// Proves: CO6
#[tokio::test]
async fn co6_a_form_counts_only_from_our_own_page_in_its_own_session() {
    let house = House::open(None).await;
    let (alice, bob) = (house.signed_in("alice").await, house.signed_in("bob").await);
    let second = house.signed_in("alice").await;
    let connections = house.get("/connections", &alice).await;
    let token = connections.token("/logout");
    let fields = [("csrf", token.as_str())];
    let foreign: [&[(&str, &str)]; 9] = [
        &[],
        &[("sec-fetch-site", "cross-site")],
        &[("sec-fetch-site", "same-site")],
        &[("sec-fetch-site", "none")],
        &[("origin", "null")],
        &[("origin", "https://evil.example")],
        &[("origin", "https://broker.example:444")],
        &[("sec-fetch-site", "same-origin"), ("origin", "https://evil.example")],
        &[("sec-fetch-site", "same-origin"), ("sec-fetch-site", "cross-site")],
    ];
    for headers in foreign {
        let builder = request(Method::POST, "/logout", &alice);
        let builder = headers.iter().fold(builder, |builder, (name, value)| builder.header(*name, *value));
        let got = house.send(with_form(builder, &fields)).await;
        assert_eq!(got.status, 403, "{headers:?}");
    }
    // Another session's token, another action's, a changed one, none.
    let mut changed = token.clone();
    changed.replace_range(20..21, if &token[20..21] == "A" { "B" } else { "A" });
    let none: &[(&str, &str)] = &[];
    for (cookies, fields) in [
        (&bob, &fields[..]),
        (&second, &fields[..]),
        (&alice, &[("csrf", changed.as_str())][..]),
        (&alice, &[("csrf", "")][..]),
        (&alice, none),
    ] {
        assert_eq!(house.post("/logout", cookies, fields).await.status, 403, "{fields:?}");
    }
    let handle = house.consent_for("alice").await;
    let declined = house.post(&format!("/consent/{handle}/decline"), &alice, &fields).await;
    assert_eq!(declined.status, 403, "a token for signing out does not decline");
    assert!(matches!(house.stored(&handle).await.state, ConsentState::Pending));
    // Either header alone is enough; then the session is over.
    for header in [("sec-fetch-site", "same-origin"), ("origin", ORIGIN)] {
        let alice = house.signed_in("alice").await;
        let token = house.get("/connections", &alice).await.token("/logout");
        let builder = request(Method::POST, "/logout", &alice).header(header.0, header.1);
        let got = house.send(with_form(builder, &[("csrf", &token)])).await;
        assert_eq!(got.status, 200, "{}", got.body);
        assert!(got.set_cookies().iter().any(|c| c.starts_with(cookies::SESSION) && c.contains("Max-Age=0")));
        assert_eq!(house.get("/connections", &alice).await.status, 303);
    }
}

/// Proves: CO6
#[tokio::test]
async fn co6_get_and_head_change_nothing() {
    let house = House::open(None).await;
    let (alice, bob) = (house.signed_in("alice").await, house.signed_in("bob").await);
    let handle = house.consent_for("alice").await;
    let (rows, before) = (house.audit_rows().await, house.stored(&handle).await.version);
    for (path, _) in every_route() {
        let path = path.replace(&"h".repeat(43), &handle);
        for cookies in [&alice, ""] {
            house.get(&path, cookies).await;
        }
        for cookies in [&alice, &bob, ""] {
            house.send(request(Method::HEAD, &path, cookies).body(Body::empty()).unwrap()).await;
        }
    }
    assert_eq!((house.audit_rows().await, house.stored(&handle).await.version), (rows, before));
    assert!(matches!(house.stored(&handle).await.state, ConsentState::Pending));
}

#[tokio::test]
async fn malformed_requests_are_refused_without_a_trace() {
    let house = House::open(None).await;
    let alice = house.signed_in("alice").await;
    let rows = house.audit_rows().await;
    let long = "x".repeat(9000);
    let state = "s".repeat(43);
    for path in [
        "/login/start?realm=staff&return=https://evil.example".to_owned(),
        "/login/start?realm=staff&realm=staff".into(),
        "/login/callback".into(),
        format!("/login/callback?state={state}&state={state}"),
        format!("/login/callback?state={state}&code=a&code=b"),
        format!("/login/callback?state={state}&code={long}"),
        "/oauth/callback/notes".into(),
        format!("/oauth/callback/notes?state={state}&state={state}"),
        format!("/oauth/callback/notes?state={state}&code=a&code=b"),
        format!("/oauth/callback/notes?state={state}&iss=a&iss=a"),
        format!("/oauth/callback/notes?state={long}"),
        format!("/oauth/callback/notes?state=%ff&x={long}"),
    ] {
        let got = house.get(&path, &alice).await;
        assert_eq!(got.status, 400, "{path}");
        assert!(got.body.contains("<h1>"), "{path}");
    }
    assert_eq!(house.get("/login/start?realm=nobody", "").await.status, 404);
    assert_eq!(house.get("/login/start?realm=No%20Realm", "").await.status, 404);
    assert_eq!(house.get(&format!("/oauth/callback/notes?state={state}"), "").await.status, 403);
    assert_eq!(house.get(&format!("/oauth/callback/nowhere?state={state}"), &alice).await.status, 404);
    assert_eq!(house.get(&format!("/consent/{state}"), "").await.status, 404);
    assert_eq!(house.get("/consent/short", &alice).await.status, 404);
    let big = "x".repeat(17_000);
    assert_eq!(house.post("/logout", &alice, &[("csrf", &big)]).await.status, 413);
    let json = request(Method::POST, "/logout", &alice).header("origin", ORIGIN);
    let json = json.header(header::CONTENT_TYPE, "application/json").body(Body::from("{}")).unwrap();
    assert_eq!(house.send(json).await.status, 415);
    assert_eq!(house.audit_rows().await, rows);
}

#[tokio::test]
async fn an_identity_provider_that_is_down_is_a_friendly_page() {
    let house = House::open(None).await;
    for _ in 0..2 {
        let got = house.get("/login/start?realm=staff&return=/connections", "").await;
        assert_eq!((got.status, got.header("retry-after")), (503, "10"));
        assert!(got.body.contains("Sign-in is not available"));
        assert!(got.set_cookies().is_empty());
    }
}

/// Proves: CO16
#[tokio::test]
async fn co16_a_session_ends_after_half_an_hour_idle_or_eight_hours() {
    let house = House::open(None).await;
    let minutes = |n: u64| std::time::Duration::from_secs(60 * n);
    let (idle, busy) = (house.signed_in("alice").await, house.signed_in("alice").await);
    for _ in 0..23 {
        house.clock.advance(minutes(20));
        assert_eq!(house.get("/connections", &busy).await.status, 200);
    }
    assert_eq!(house.get("/connections", &idle).await.status, 303, "idle");
    house.clock.advance(minutes(20));
    assert_eq!(house.get("/connections", &busy).await.status, 303, "eight hours");
}

/// Proves: CO16
#[test]
fn co16_a_sign_in_returns_to_a_closed_list_of_pages() {
    let handle = "Ab-_".repeat(10) + "xyz";
    for good in ["/connections".to_owned(), format!("/consent/{handle}")] {
        assert_eq!(ReturnPath::parse(&good).unwrap().path(), good);
    }
    for bad in [
        "",
        "/",
        "//evil.example",
        "/\\evil.example",
        "https://evil.example/connections",
        "/connections/",
        "/connections?x=1",
        "/connections#x",
        "/logout",
        "/consent/",
        "/consent/short",
        &format!("/consent/{handle}/approve"),
        &format!("/consent/{handle}x"),
        &format!("/consent/{}%0a", &handle[..40]),
        &format!(" /consent/{handle}"),
    ] {
        assert_eq!(ReturnPath::parse(bad), None, "{bad}");
    }
}

#[tokio::test]
async fn a_panic_is_a_page_with_a_trace_id_and_nothing_else() {
    let house = House::open(None).await;
    let logins = Arc::new(Logins::new(Vec::new(), house.clock.clone()));
    let web = Arc::new(Web {
        logout_gate: LogoutGate::new(&house.rooms),
        rooms: house.rooms.clone(),
        logins,
        origin: ORIGIN.into(),
    });
    let router: Router = Router::new()
        .route("/", get(async || -> &'static str { panic!("secret detail") }))
        .layer(from_fn_with_state(web, guard::guard));
    let answer = router.oneshot(request(Method::GET, "/", "").body(Body::empty()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 500);
    assert_eq!(answer.headers()["cache-control"], "no-store");
    let body = axum::body::to_bytes(answer.into_body(), 1 << 20).await.unwrap();
    let body = String::from_utf8(body.to_vec()).unwrap();
    assert!(!body.contains("secret detail") && body.contains("Something went wrong"));
    let trace = body.split_once("<code>").unwrap().1.split_once("</code>").unwrap().0;
    assert!(trace.len() == 32 && trace.bytes().all(|b| b.is_ascii_hexdigit()));
}

#[tokio::test]
async fn the_pages_are_served_on_a_listener_of_their_own_and_know_their_peer() {
    use crate::transport::{
        http::{Patience, serve},
        listener::{Accepted, Intake, Peer},
    };
    use axum::extract::ConnectInfo;
    use std::time::Duration;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let house = House::open(None).await;
    let stop = tokio_util::sync::CancellationToken::new();
    let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listener =
        Accepted::on(socket, None, Intake::of("web", 16, crate::metrics::Metrics::default()), stop.clone())
            .unwrap();
    let address = listener.local_addr();
    let peer = get(async |ConnectInfo(peer): ConnectInfo<Peer>| peer.address.to_string());
    let router = Router::new().route("/peer", peer).fallback_service(house.router.clone());
    let patience = Patience::with_requests_of(Duration::from_secs(30));
    let server = tokio::spawn(serve(listener, router, patience, stop.clone()));
    let ask = async |path: &str| {
        let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
        let forged = "x-forwarded-for: 203.0.113.9\r\nforwarded: for=203.0.113.9\r\n";
        let text = format!("GET {path} HTTP/1.1\r\nhost: broker\r\n{forged}connection: close\r\n\r\n");
        stream.write_all(text.as_bytes()).await.unwrap();
        let own = stream.local_addr().unwrap().to_string();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        (answer, own)
    };
    let (answer, own) = ask("/peer").await;
    assert!(answer.ends_with(&own), "{answer}");
    let (page, _) = ask("/style.css").await;
    assert!(page.starts_with("HTTP/1.1 200") && page.contains("content-security-policy:"), "{page}");
    assert!(!page.to_lowercase().contains("\r\nserver:"));
    let (grpc, _) = ask("/broker.v1.GrantService/IssueGrant").await;
    assert!(grpc.starts_with("HTTP/1.1 404"), "no gRPC here: {grpc}");
    stop.cancel();
    server.abort();
}

#[test]
fn every_reason_has_a_page_of_its_own_words() {
    for reason in Reason::ALL {
        let (got, page) = page_error(&Refusal::new(*reason), None, "trace");
        let html = page.into_string();
        assert_eq!(got, status(*reason));
        assert!(got.is_client_error() || got.is_server_error(), "{reason:?}");
        assert!(!html.contains(reason.as_str()), "{reason:?}: codes are for programs");
    }
}

#[tokio::test]
async fn several_sign_ins_in_one_browser_are_bounded() {
    use crate::transport::web::login::{PendingLogin, crowded_out};
    let house = House::open(None).await;
    let keys = house.rooms.keys.cookies();
    let mut held = Vec::new();
    let mut headers = axum::http::HeaderMap::new();
    for _ in 0..7 {
        let now = crate::domain::Clock::now(&*house.clock);
        let pending = PendingLogin::new(&*house.rooms.rng, "sso", &ReturnPath::Connections, now);
        let cookies = cookies::Cookies::read(&headers);
        for gone in crowded_out(keys, &cookies, now) {
            let name = gone.to_str().unwrap().split('=').next().unwrap().to_owned();
            held.retain(|cookie: &String| !cookie.starts_with(&name));
        }
        held.push(pending.cookie(keys).unwrap().to_str().unwrap().split(';').next().unwrap().to_owned());
        assert!(held.len() <= 5);
        headers.insert(header::COOKIE, held.join("; ").parse().unwrap());
        let cookies = cookies::Cookies::read(&headers);
        assert!(PendingLogin::find(keys, &cookies, &pending.state, now).is_some());
        house.clock.advance(std::time::Duration::from_secs(1));
    }
    assert_eq!(held.len(), 5, "the oldest made room");
}
