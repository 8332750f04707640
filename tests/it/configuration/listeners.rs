use super::house::{CANARY, check, check_missing, hostile, problems};
use serde_json::json;

/// Proves: NE4, VA7
#[test]
fn ne4_listeners_and_the_public_url_are_refused_at_their_paths() {
    check_missing([
        "/listeners/grpc",
        "/listeners/web",
        "/listeners/ops",
        "/listeners/grpc/address",
        "/listeners/web/tls/certificate_file",
        "/listeners/web/tls/key_file",
        "/storage/sqlite/path",
        "/keys/file",
    ]);
    for listener in ["grpc", "web", "ops"] {
        let pointer = format!("/listeners/{listener}/address");
        let path = format!("listeners.{listener}.address: is not an IP address and port");
        let texts = [
            "",
            ":7443",
            "127.0.0.1",
            "127.0.0.1:",
            "127.0.0.1:65536",
            "127.0.0.1:-1",
            "localhost:7443",
            "[::1",
            "1.2.3:80",
            "http://127.0.0.1:1",
        ];
        for value in hostile().into_iter().chain(texts.map(|text| json!(text))) {
            let found = problems(&pointer, Some(value));
            assert!(found.iter().any(|problem| problem.starts_with(&path)), "{found:?}");
        }
    }
    let open = "listeners.grpc.address: is not loopback and has no TLS";
    check([
        ("/listeners/grpc/address", json!("0.0.0.0:7443"), open),
        ("/listeners/grpc/address", json!("[::]:7443"), open),
        ("/listeners/grpc/address", json!("[::ffff:10.0.0.1]:7443"), open),
        ("/listeners/grpc/address", json!("169.254.169.254:80"), open),
        ("/listeners/grpc/address", json!("0.0.0.0:8443"), "listeners.web.address: is the same as"),
        (
            "/listeners/web/terminated_by_mesh",
            json!(true),
            "listeners.web.terminated_by_mesh: contradicts tls",
        ),
        (
            "/listeners/grpc/terminated_by_mesh",
            json!("true"),
            "listeners.grpc.terminated_by_mesh: is not true or false",
        ),
        (
            "/listeners/grpc/terminated_by_mesh",
            json!(1),
            "listeners.grpc.terminated_by_mesh: is not true or false",
        ),
        ("/listeners/web/tls/certificate_file", json!(""), "listeners.web.tls.certificate_file: is empty"),
        ("/listeners/web/tls/client_ca_file", json!(""), "listeners.web.tls.client_ca_file: is empty"),
        ("/storage/sqlite/path", json!(""), "storage.sqlite.path: is empty"),
        ("/keys/file", json!(""), "keys.file: is empty"),
        ("/keys/file", json!(["keys.json"]), "keys.file: is not text"),
        ("/public_url", json!(CANARY), "public_url: is not a URL"),
        ("/public_url", json!(""), "public_url: is not a URL"),
        ("/public_url", json!("http://broker.example.com"), "public_url: is not https"),
        ("/public_url", json!("http://127.0.0.1.example.com"), "public_url: is not https"),
        ("/public_url", json!("javascript:alert(1)"), "public_url: is not https"),
        ("/public_url", json!("file:///etc/passwd"), "public_url: is not https"),
        (
            "/public_url",
            json!(format!("https://a:{CANARY}@broker.example.com")),
            "public_url: has a user name",
        ),
        ("/public_url", json!(format!("https://broker.example.com/{CANARY}")), "public_url: has a path"),
        ("/public_url", json!(format!("https://broker.example.com/?{CANARY}")), "public_url: has "),
        ("/public_url", json!(format!("https://broker.example.com/#{CANARY}")), "public_url: has a fragment"),
    ]);
}
