use super::house::House;

const MARK: &str = "%3Cxss-mark%3E";

/// Proves: CO16
#[tokio::test]
async fn co16_parameters_that_cannot_be_served_end_on_a_page_that_does_not_repeat_them() {
    let house = House::open().await;
    let alice = house.alice().await;
    let before = house.rpc.events().await.len();
    let long = |count| "a".repeat(count);
    let cases: Vec<(String, u16)> = vec![
        (format!("/login/start?realm={MARK}"), 404),
        ("/login/start?realm=nowhere".to_owned(), 404),
        ("/login/start?realm=".to_owned(), 404),
        ("/login/start?realm=staff&realm=staff".to_owned(), 400),
        (format!("/login/start?realm={}", long(65)), 400),
        (format!("/login/start?return={MARK}"), 400),
        ("/login/start?return=/connections&return=/connections".to_owned(), 400),
        (format!("/login/start?return=/consent/{}", long(200)), 400),
        ("/login/start?realm=%ff".to_owned(), 400),
        ("/login/start?return=%ff".to_owned(), 400),
        (format!("/login/start?{}", "a=b&".repeat(33)), 400),
        (format!("/login/start?x={}", long(8 * 1024 + 1)), 400),
        (format!("/login/start?x={}", long(17 * 1024)), 400),
        ("/login/callback".to_owned(), 400),
        ("/login/callback?state=".to_owned(), 400),
        (format!("/login/callback?state={MARK}&code=c"), 400),
        (format!("/login/callback?state={}&code=c", "A".repeat(43)), 400),
        ("/login/callback?state=a&state=b&code=c".to_owned(), 400),
        (format!("/login/callback?state={}&code=c", long(513)), 400),
        (format!("/login/callback?state=s&error={}", long(257)), 400),
        (format!("/login/callback?state=s&error=e&error_description={MARK}"), 400),
        ("/oauth/callback/notes".to_owned(), 400),
        ("/oauth/callback/notes?code=c".to_owned(), 400),
        ("/oauth/callback/notes?state=&code=c".to_owned(), 400),
        ("/oauth/callback/notes?state=a&state=b".to_owned(), 400),
        ("/oauth/callback/notes?state=s&code=a&code=b".to_owned(), 400),
        (format!("/oauth/callback/notes?state=s&iss={}", long(2049)), 400),
        (format!("/oauth/callback/notes?state=s&code={}", "c".repeat(8193)), 400),
        (format!("/oauth/callback/notes?state={MARK}&error=access_denied&error_description={MARK}"), 404),
        (format!("/oauth/callback/notes?state={}&code=c", "A".repeat(43)), 404),
        ("/oauth/callback/other?state=s&code=c".to_owned(), 404),
    ];
    for (path, status) in cases {
        let reply = house.get(&path, &[("cookie", &alice.cookies)]).await;
        let what = format!("{path:.90}");
        reply.check_error(&what, status);
        assert!(!reply.body.contains("xss-mark"), "{what} is repeated");
    }
    assert_eq!(house.rpc.events().await.len(), before, "bogus callbacks and starts write no row (AU2)");
    house.close().await;
}

/// Proves: AU2, CO3
#[tokio::test]
async fn co3_a_callback_without_a_session_stores_nothing_and_explains() {
    let house = House::open().await;
    let before = house.rpc.events().await.len();
    let reply = house.get("/oauth/callback/notes?state=s&code=c", &[]).await;
    reply.check_error("no session", 403);
    assert_eq!(house.rpc.events().await.len(), before);
    house.close().await;
}
