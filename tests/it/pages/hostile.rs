//! Everything at every page: queries and headers that no page asked for.

use super::scene::{Scene, check_harmless};

fn queries() -> Vec<String> {
    let mut queries: Vec<String> = [
        "%3Cscript%3Exss-mark%3C/script%3E",
        "state=%3Cscript%3Exss-mark&code=%3Cscript%3Exss-mark",
        "state=xss-mark&state=xss-mark",
        "realm=xss-mark&return=//evil.example",
        "return=%2Fconsents%2F..%2Fxss-mark",
        "error=xss-mark&error_description=%3Cscript%3Exss-mark",
        "csrf=xss-mark&terms=xss-mark&connection=xss-mark",
        "x=%0d%0aX-Injected:%20xss-mark",
        "state=%0d%0aX-Injected:%20xss-mark&code=%00",
        "%ff=%ff&state=%ff&code=%fe&return=%c0%ae&realm=%f0%9f",
        "x=%E2%80%AE&state=%E2%80%AE&return=%E2%80%AE%2Fconnections",
        "x=%00&realm=%00&state=%00",
        "%",
        "%zz=%zz",
        "=&=&&&;;",
        "x[]=xss-mark&x[a][b]=1",
        "?/#",
    ]
    .map(str::to_owned)
    .into();
    queries.push("a=b&".repeat(40));
    queries.extend([64, 8 * 1024, 17 * 1024, 30_000].map(|length| format!("state={}", "a".repeat(length))));
    queries
}

/// Proves: CO6, CO16
#[tokio::test]
async fn co6_no_query_at_any_page_does_anything_or_comes_back() {
    let scene = Scene::set().await;
    let (before, cookies) = (scene.events().await, scene.cookies());
    for path in scene.pages() {
        for query in queries() {
            for cookies in ["", cookies.as_str()] {
                let reply = scene.get(&format!("{path}?{query}"), &[("cookie", cookies)]).await;
                check_harmless(&reply, &format!("{path}?{query:.60}"));
            }
        }
    }
    scene.check_untouched(before).await;
    scene.end().await;
}

/// Proves: CO6, CO7
#[tokio::test]
async fn co6_no_header_at_any_page_does_anything_or_comes_back() {
    let scene = Scene::set().await;
    let (before, cookies, long) = (scene.events().await, scene.cookies(), "a".repeat(16_000));
    let headers = [
        ("user-agent", "<script>xss-mark</script>"),
        ("user-agent", &long),
        ("accept", "application/json"),
        ("accept-language", "'\"><script>xss-mark"),
        ("accept-encoding", "xss-mark;q=9"),
        ("referer", "javascript:xss-mark"),
        ("origin", "https://evil.example"),
        ("sec-fetch-site", "cross-site"),
        ("sec-fetch-mode", "xss-mark"),
        ("authorization", "Bearer xss-mark"),
        ("x-forwarded-for", "'; DROP TABLE consents; --"),
        ("x-forwarded-host", "evil.example"),
        ("forwarded", "for=\"_xss-mark\";host=evil.example"),
        ("x-http-method-override", "POST"),
        ("x-original-url", "/logout"),
        ("traceparent", "00-xss-mark-01"),
        ("if-none-match", "*"),
        ("if-modified-since", "Sat, 01 Jan 2050 00:00:00 GMT"),
        ("range", "bytes=0-18446744073709551615"),
        ("upgrade", "websocket"),
        ("content-type", "multipart/form-data; boundary=\u{202e}"),
        ("x-odd", "\u{7f}\u{202e}\u{ff}"),
    ];
    for path in scene.pages() {
        let plain = scene.get(&path, &[("cookie", &cookies)]).await;
        for (name, value) in headers {
            let what = format!("{path} {name}: {value:.40}");
            let reply = scene.get(&path, &[("cookie", &cookies), (name, value)]).await;
            // What is no HTTP is answered before it comes to a page.
            if reply.status == 400 && reply.body.is_empty() {
                continue;
            }
            check_harmless(&reply, &what);
            assert_eq!(reply.status, plain.status, "{what}");
        }
    }
    scene.check_untouched(before).await;
    scene.end().await;
}
