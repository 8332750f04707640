use broker::transport::grpc::{GATE, Who};
use broker_proto::v1::IssueGrantRequest;
use broker_tests::{
    rpc::Rpc,
    wire::{Answer, Wire, frame},
};
use demo::world::{ALICE, Workload::TicketHelper};
use prost::Message;
use reqwest::{
    Method,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tonic::Code;

const ISSUE: &str = "/broker.v1.GrantService/IssueGrant";
const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

fn headers(credentials: &[&str]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, GRPC);
    for credential in credentials {
        let value = HeaderValue::from_bytes(credential.as_bytes()).expect("a header value");
        headers.append(AUTHORIZATION, value);
    }
    headers
}

struct Gate {
    rpc: Rpc,
    wire: Wire,
}

impl Gate {
    async fn start() -> Gate {
        let rpc = Rpc::start().await;
        Gate { wire: Wire::to(rpc.world.grpc_url()), rpc }
    }

    fn secret(&self) -> String {
        format!("Bearer {}", self.rpc.world.secret(TicketHelper))
    }

    async fn post(&self, path: &str, headers: HeaderMap, body: Vec<u8>) -> Answer {
        self.wire.send(Method::POST, path, headers, body).await.unwrap_or_else(|e| panic!("{path}: {e:?}"))
    }

    /// Denied rows that the call left behind.
    async fn rows(&self, before: usize) -> usize {
        let new = self.rpc.events().await.split_off(before);
        new.iter().filter(|event| event["outcome"] == "denied").count()
    }
}

fn is(answer: &Answer, code: Code, reason: &str) -> bool {
    answer.http == 200 && answer.grpc == Some(code as i32) && answer.reason.as_deref() == Some(reason)
}

/// Proves: ID1, ID2
#[tokio::test]
async fn id1_every_method_but_health_and_reflection_wants_one_sound_credential() {
    let gate = Gate::start().await;
    let (sso, before) = (gate.rpc.world.sso(), gate.rpc.events().await.len());
    let secret = gate.rpc.world.secret(TicketHelper).to_owned();
    let account = TicketHelper.service_account();
    let many = "Bearer ".to_owned() + &"x".repeat(17_000);
    let bad = [
        vec![format!("Basic {secret}")],
        vec![secret.clone()],
        vec![format!("Bearer  {secret}")],
        vec![format!("Bearer {secret} ")],
        vec![format!("Bearer {secret},Bearer {secret}")],
        vec![format!("Bearer {}", &secret[..secret.len() - 1])],
        vec!["Bearer".to_owned()],
        vec![String::new()],
        vec!["Bearer caf\u{e9}".to_owned()],
        vec![gate.secret(), gate.secret()],
        vec![gate.secret(), "Bearer x".to_owned()],
        vec!["Bearer x".to_owned(), gate.secret()],
        vec![many],
        vec![format!("Bearer {}", gate.rpc.world.assertion(&ALICE, TicketHelper))],
        vec![format!("Bearer {}", sso.mint_workload_token(account, "another-service"))],
        vec![format!(
            "Bearer {}",
            sso.mint_workload_token("system:serviceaccount:tools:evil", "token-broker")
        )],
    ];
    for row in GATE.iter().filter(|row| row.who != Who::Anyone) {
        for credentials in &bad {
            let credentials: Vec<&str> = credentials.iter().map(String::as_str).collect();
            let answer = gate.post(row.method, headers(&credentials), frame(&[])).await;
            let told = is(&answer, Code::Unauthenticated, "WORKLOAD_CREDENTIAL_INVALID");
            assert!(told, "{} {credentials:.60?}: {answer:?}", row.method);
        }
        let answer = gate.post(row.method, headers(&[]), frame(&[])).await;
        assert_ne!(answer.grpc, Some(0), "{}", row.method);
        if row.who == Who::Workload {
            assert!(is(&answer, Code::Unauthenticated, "WORKLOAD_CREDENTIAL_MISSING"), "{answer:?}");
        }
        gate.rpc.clock.advance(std::time::Duration::from_secs(5));
    }
    assert_eq!(gate.rpc.events().await.len(), before, "no row for strangers");
    gate.rpc.stop().await;
}

/// Proves: PO7
#[tokio::test]
async fn po7_what_has_no_row_is_not_served_whoever_calls() {
    let gate = Gate::start().await;
    for path in [
        "/broker.v1.GrantService/IssueGrants",
        "/broker.v1.GrantService/",
        "/broker.v1.GrantService",
        "/",
        "//",
        "/broker.v1.grantservice/issuegrant",
        "/broker.v1.GrantService/IssueGrant/",
        "//broker.v1.GrantService/IssueGrant",
        "/broker.v1.GrantService%2fIssueGrant",
        "/broker.v2.GrantService/IssueGrant",
        "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        "/grpc.health.v1.Health/List",
    ] {
        for credentials in [vec![], vec![gate.secret()]] {
            let credentials: Vec<&str> = credentials.iter().map(String::as_str).collect();
            let answer = gate.post(path, headers(&credentials), frame(&[])).await;
            assert!(is(&answer, Code::PermissionDenied, "METHOD_NOT_ALLOWED"), "{path}: {answer:?}");
        }
    }
    gate.rpc.stop().await;
}

/// Proves: AU2, AV2
#[tokio::test]
async fn au2_messages_that_cannot_be_read_are_the_callers_fault_and_recorded() {
    let gate = Gate::start().await;
    let huge =
        IssueGrantRequest { purpose: "p".repeat(200_000), ..IssueGrantRequest::default() }.encode_to_vec();
    let cases: Vec<(&str, Vec<u8>)> = vec![
        ("garbage", frame(b"\xff\xff\xff\xff\xff")),
        ("wrong wire type", frame(&[0x08, 0x01])),
        ("a length beyond the end", frame(&[0x0a, 0x7f, b'x'])),
        ("not UTF-8", frame(&[0x0a, 0x01, 0xff])),
        ("endless varint", frame(&[0x80; 20])),
        ("field zero", frame(&[0x02, 0x00])),
        ("group without end", frame(&[0x0b; 2000])),
        ("over the limit", frame(&huge)),
        ("says it is 4 GB", vec![0, 0xff, 0xff, 0xff, 0xff]),
    ];
    for (what, body) in cases {
        let before = gate.rpc.events().await.len();
        let answer = gate.post(ISSUE, headers(&[&gate.secret()]), body).await;
        assert!(is(&answer, Code::InvalidArgument, "INVALID_ARGUMENT"), "{what}: {answer:?}");
        assert_eq!(gate.rows(before).await, 1, "{what}");
    }
    for (what, body) in [
        ("nothing", vec![]),
        ("half a head", vec![0, 0]),
        ("half a body", frame(&[0; 8])[..9].to_vec()),
        ("flags", {
            let mut body = frame(&[]);
            body[0] = 0xff;
            body
        }),
    ] {
        let answer = gate.post(ISSUE, headers(&[&gate.secret()]), body).await;
        assert!(answer.http == 200 && !matches!(answer.grpc, Some(0 | 2 | 13)), "{what}: {answer:?}");
        assert!(answer.grpc.is_some(), "{what}: {answer:?}");
    }
    gate.rpc.stop().await;
}

#[tokio::test]
async fn a_field_given_twice_counts_once_the_last_time() {
    let gate = Gate::start().await;
    let one = |provider: &str| {
        IssueGrantRequest { provider: provider.to_owned(), ..gate.rpc.grant_request(&ALICE, TicketHelper) }
            .encode_to_vec()
    };
    let answer =
        gate.post(ISSUE, headers(&[&gate.secret()]), frame(&[one("notes"), one("other")].concat())).await;
    assert!(is(&answer, Code::NotFound, "PROVIDER_UNKNOWN"), "{answer:?}");
    gate.rpc.stop().await;
}

/// Proves: AV2
#[tokio::test]
async fn av2_what_is_not_grpc_is_not_served() {
    let gate = Gate::start().await;
    let sound = || frame(&gate.rpc.grant_request(&ALICE, TicketHelper).encode_to_vec());
    for kind in [
        "application/json",
        "application/x-www-form-urlencoded",
        "text/plain",
        "application/grpc-web",
        "application/grpcx",
        "",
    ] {
        let mut headers = headers(&[&gate.secret()]);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        let answer = gate.post(ISSUE, headers, sound()).await;
        assert_eq!((answer.http, answer.grpc), (415, None), "{kind}");
    }
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::OPTIONS, Method::HEAD] {
        let sent = gate.wire.send(method.clone(), ISSUE, headers(&[&gate.secret()]), Vec::new()).await;
        assert_eq!(sent.expect("an answer").http, 405, "{method}");
    }
    let mut large = headers(&[&gate.secret()]);
    large.insert("x-filler", HeaderValue::from_bytes(&vec![b'x'; 1 << 20]).expect("a value"));
    let sent = gate.wire.send(Method::POST, ISSUE, large, sound()).await;
    assert!(sent.as_ref().map_or(true, |answer| answer.http == 431), "{sent:?}");

    let mut http1 = tokio::net::TcpStream::connect(gate.rpc.world.addresses().grpc).await.expect("connects");
    http1
        .write_all(b"POST /broker.v1.GrantService/IssueGrant HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .expect("sends");
    let mut said = Vec::new();
    let read = tokio::time::timeout(std::time::Duration::from_secs(5), http1.read_to_end(&mut said)).await;
    assert!(read.is_ok(), "the connection is closed, not left hanging");
    assert!(!said.starts_with(b"HTTP/1.1 200"), "{said:?}");
    // And the broker serves on.
    gate.rpc.ask(&ALICE, TicketHelper).await;
    gate.rpc.stop().await;
}

/// Proves: AU17, AV1
#[tokio::test]
async fn av1_a_deadline_that_has_passed_is_answered_as_such_and_a_strange_one_is_ignored() {
    let gate = Gate::start().await;
    let body = || frame(&gate.rpc.grant_request(&ALICE, TicketHelper).encode_to_vec());
    for passed in ["0n", "1n", "0S", "0H"] {
        let mut headers = headers(&[&gate.secret()]);
        headers.insert("grpc-timeout", HeaderValue::from_static(passed));
        let answer = gate.post(ISSUE, headers, body()).await;
        assert!(is(&answer, Code::DeadlineExceeded, "DEADLINE_EXCEEDED"), "{passed}: {answer:?}");
    }
    for strange in ["", "5", "S", "-1S", "5x", "999999999S", "99999999H", "1e3S", "٣S"] {
        let mut headers = headers(&[&gate.secret()]);
        headers.insert("grpc-timeout", HeaderValue::from_bytes(strange.as_bytes()).expect("a value"));
        let answer = gate.post(ISSUE, headers, body()).await;
        assert!(answer.http == 200 && matches!(answer.grpc, None | Some(0)), "{strange}: {answer:?}");
    }
    gate.rpc.stop().await;
}
