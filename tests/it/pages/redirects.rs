use super::house::House;

/// Proves: CO16
#[tokio::test]
async fn co16_return_is_a_closed_list_and_no_open_redirect() {
    let house = House::open().await;
    let handle = "A".repeat(43);
    for target in [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/connections/../..",
        "/connections?x=y",
        "/connections#x",
        "/connections/",
        "connections",
        " /connections",
        "/connections\r\nset-cookie: a=b",
        "/Connections",
        "",
        "javascript:alert(1)",
        "data:text/html,x",
        "/login/start",
        "/logout",
        "https:/connections",
        "/consent/",
        "/consent/..",
        "http://127.0.0.1/connections",
        "/connections\0",
        "/consent/x/approve",
        "/consents",
        "/consents/",
        "/consents/..",
        "/consents/x",
        "//connections",
    ] {
        let query =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("return", target).finish();
        for path in [format!("/login/start?{query}"), format!("/login/start?realm=staff&{query}")] {
            let reply = house.get(&path, &[]).await;
            reply.check_error(&format!("{target:?}"), 400);
            assert!(!reply.body.contains("evil"), "{target}");
        }
    }
    for sound in ["/connections".to_owned(), format!("/consent/{handle}"), format!("/consents/{handle}")] {
        let reply = house.get(&format!("/login/start?realm=staff&return={sound}"), &[]).await;
        assert_eq!(reply.status, 303);
        let to = reply.header("location").expect("a location");
        assert!(to.starts_with(house.rpc.world.sso().issuer()), "to the company's SSO alone");
    }
    house.close().await;
}

/// Proves: CO5
#[tokio::test]
async fn no_header_of_the_visitor_changes_where_anything_leads() {
    let house = House::open().await;
    let plain = house.get("/connections", &[]).await;
    for (name, value) in [
        ("host", "evil.example"),
        ("host", "evil.example:99999"),
        ("host", "<script>"),
        ("host", "a,b"),
        ("host", ""),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("forwarded", "host=evil.example;proto=https"),
        ("x-original-url", "/login/callback"),
        ("x-rewrite-url", "/style.css"),
        ("x-http-method-override", "POST"),
        ("x-forwarded-prefix", "//evil.example"),
    ] {
        let reply = house.get("/connections", &[(name, value)]).await;
        let what = format!("{name}: {value}");
        if reply.status == 400 {
            continue;
        }
        reply.check_headers(&what);
        assert_eq!(
            (reply.status, reply.header("location")),
            (plain.status, plain.header("location")),
            "{what}"
        );
        let start = house.get("/login/start?realm=staff", &[(name, value)]).await;
        assert!(!start.header("location").expect("a location").contains("evil"), "{what}");
    }
    house.close().await;
}
