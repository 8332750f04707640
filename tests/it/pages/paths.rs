use super::house::House;
use demo::world::{ALICE, Workload::TicketHelper};

/// Parts of a path that name nothing.
const PARTS: [&str; 22] = [
    "x",
    "%00",
    "%2e%2e",
    "..",
    "%2f",
    "%252f",
    "..%2f..%2fetc%2fpasswd",
    "%ff%fe",
    "%zz",
    "%",
    "%3Cscript%3E",
    "%0d%0aset-cookie:%20a=b",
    "%E2%80%AE",
    "null",
    "con_",
    "*",
    "'--",
    "%27%20OR%201=1",
    "{handle}",
    ":handle",
    "~root",
    "-",
];

fn parts() -> Vec<String> {
    let long =
        ["A".repeat(42), "A".repeat(44), "A".repeat(4000), format!("{}%", "A".repeat(42)), "%41".repeat(42)];
    PARTS.iter().map(|part| (*part).to_owned()).chain(long).collect()
}

/// Proves: CO1, CO6
#[tokio::test]
async fn co1_what_is_no_handle_id_or_provider_is_not_found_and_not_repeated() {
    let house = House::open().await;
    let alice = house.alice().await;
    let before = house.rpc.events().await.len();
    for part in parts() {
        for path in [
            format!("/consent/{part}"),
            format!("/consents/{part}"),
            format!("/oauth/callback/{part}?state=s&code=c"),
            format!("/connections/{part}/disconnect"),
            format!("/login/{part}"),
            format!("/logout/{part}"),
            format!("/logout/backchannel/{part}/"),
            format!("/{part}"),
        ] {
            let reply = house.get(&path, &[("cookie", &alice.cookies)]).await;
            let what = format!("{path:.60}");
            reply.check_error(&what, 404);
            assert!(part.len() < 4 || !reply.body.contains(&part), "{what} is repeated");
        }
        for path in ["approve", "decline", "confirm", "reject"] {
            house
                .post(&format!("/consent/{part}/{path}"), &alice.cookies, "csrf=x")
                .await
                .check_error(&part, 404);
        }
        let reply = house.post(&format!("/connections/{part}/disconnect"), &alice.cookies, "csrf=x").await;
        assert!(matches!(reply.status, 403 | 404), "{part}");
        reply.check_error(&part, reply.status);
    }
    assert_eq!(house.rpc.events().await.len(), before, "nothing happened");
    house.close().await;
}

/// Proves: CO1
#[tokio::test]
async fn co1_a_real_handle_is_found_under_its_own_path_alone() {
    let house = House::open().await;
    let (_, handle) = house.consent(&ALICE, TicketHelper).await;
    assert_eq!(house.get(&format!("/consent/{handle}"), &[]).await.status, 303);
    for path in [
        format!("//consent/{handle}"),
        format!("/consent//{handle}"),
        format!("/consent/{handle}/"),
        format!("/consent/{handle}//approve"),
        format!("/consent/./{handle}"),
        format!("/consent/../consent/{handle}"),
        format!("/Consent/{handle}"),
        format!("/consent/{handle}."),
        format!("/consent/{handle}%00"),
        format!("/consent/%20{handle}"),
        format!("/consent%2f{handle}"),
        format!("/consent/{handle};a=b"),
        format!("/consent/{}", handle.to_lowercase()),
        format!("/style.css/../consent/{handle}"),
    ] {
        house.get(&path, &[]).await.check_error(&path, 404);
    }
    house.close().await;
}

#[tokio::test]
async fn what_is_hardly_http_gets_an_answer_and_the_pages_go_on() {
    let house = House::open().await;
    let long = format!("GET /{} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n", "a".repeat(70_000));
    let many = format!("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{}\r\n", "x: y\r\n".repeat(500));
    for request in [
        "GET / HTTP/1.1\r\nconnection: close\r\nhost: a\r\nbad header\r\n\r\n",
        "GET\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
        "GET / HTTP/9.9\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\nconnection: close\r\n\r\n",
        "POST /logout HTTP/1.1\r\nhost: a\r\ncontent-length: -1\r\nconnection: close\r\n\r\n",
        &long,
        &many,
        "POST /logout HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 3\r\nconnection: close\r\n\r\n0\r\n\r\n",
    ] {
        let reply = broker_tests::http1::exchange(house.web, request.as_bytes()).await;
        assert!((400..500).contains(&reply.status), "{:.60}: {}", request, reply.status);
    }
    assert_eq!(house.get("/connections", &[]).await.status, 303);
    house.close().await;
}
