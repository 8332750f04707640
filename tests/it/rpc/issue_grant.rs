use broker_proto::v1::{IssueGrantRequest, issue_grant_response::Outcome};
use broker_tests::rpc::{
    ASSERTION_INVALID, ASSERTION_MISSING, Expected, NOT_FOUND, Rpc, WRONG_AUDIENCE, hostile, in_time, invalid,
};
use demo::world::{
    ADMIN, ALICE, AUDITOR, BOB, PROVIDER,
    Workload::{ReportWriter, TicketHelper},
};
use serde_json::json;
use tonic::Code;

const POLICY_DENIED: Expected<'static> = (Code::PermissionDenied, "POLICY_DENIED", None);
const EXPIRED: Expected<'static> = (Code::Unauthenticated, "ASSERTION_EXPIRED", None);
const UNKNOWN_PROVIDER: Expected<'static> = (Code::NotFound, "PROVIDER_UNKNOWN", None);
const UNKNOWN_SCOPE: Expected<'static> = (Code::InvalidArgument, "SCOPE_UNKNOWN", None);

type Set = fn(&mut IssueGrantRequest, String);
type Case = (&'static str, Expected<'static>, Box<dyn Fn(&mut IssueGrantRequest)>);

fn case(
    what: &'static str,
    expected: Expected<'static>,
    change: impl Fn(&mut IssueGrantRequest) + 'static,
) -> Case {
    (what, expected, Box::new(change))
}

fn shapes() -> Vec<Case> {
    let seconds = |seconds, nanos| Some(prost_duration(seconds, nanos));
    vec![
        case("no assertion", ASSERTION_MISSING, |r| r.assertion.clear()),
        case("huge assertion", invalid("assertion"), |r| r.assertion = "a".repeat(16 * 1024 + 1)),
        case("largest assertion", ASSERTION_INVALID, |r| r.assertion = "a".repeat(16 * 1024)),
        case("no provider", invalid("provider"), |r| r.provider.clear()),
        case("long provider", invalid("provider"), |r| r.provider = "a".repeat(64)),
        case("longest provider", UNKNOWN_PROVIDER, |r| r.provider = "a".repeat(63)),
        case("folded provider", invalid("provider"), |r| r.provider = "Notes".to_owned()),
        case("no scopes", invalid("scopes"), |r| r.scopes.clear()),
        case("empty scope", invalid("scopes"), |r| r.scopes.push(String::new())),
        case("two scopes in one", invalid("scopes"), |r| {
            r.scopes = vec!["notes.read notes.write".to_owned()]
        }),
        case("long scope", invalid("scopes"), |r| r.scopes = vec!["s".repeat(257)]),
        case("many scopes", invalid("scopes"), |r| r.scopes = (0..65).map(|n| format!("s{n}")).collect()),
        case("unknown scope", UNKNOWN_SCOPE, |r| r.scopes.push("notes.admin".to_owned())),
        case("unknown connection", NOT_FOUND, |r| r.connection = Some(format!("con_{}", "0".repeat(26)))),
        case("a consent as connection", invalid("connection"), |r| {
            r.connection = Some(format!("cns_{}", "0".repeat(26)));
        }),
        case("relative resource", invalid("resource"), |r| r.resource = Some("/notes".to_owned())),
        case("long resource", invalid("resource"), |r| {
            r.resource = Some(format!("https://a/{}", "b".repeat(2048)))
        }),
        case("resource with a fragment", invalid("resource"), |r| {
            r.resource = Some("https://a/#b".to_owned())
        }),
        case("no ttl", invalid("ttl"), move |r| r.ttl = seconds(0, 0)),
        case("negative ttl", invalid("ttl"), move |r| r.ttl = seconds(-1, 0)),
        case("negative nanos", invalid("ttl"), move |r| r.ttl = seconds(0, -1)),
        case("more than a week", invalid("ttl"), move |r| r.ttl = seconds(604_800, 1)),
        case("endless ttl", invalid("ttl"), move |r| r.ttl = seconds(i64::MAX, i32::MAX)),
        case("beginless ttl", invalid("ttl"), move |r| r.ttl = seconds(i64::MIN, i32::MIN)),
        case("long tool", invalid("tool"), |r| r.tool = "t".repeat(201)),
        case("tool with a line break", invalid("tool"), |r| r.tool = "a\nb".to_owned()),
        case("tool with a link", invalid("tool"), |r| r.tool = "see https://evil.example".to_owned()),
        case("long purpose", invalid("purpose"), |r| r.purpose = "ü".repeat(201)),
        case("purpose right to left", invalid("purpose"), |r| r.purpose = "a\u{202e}b".to_owned()),
        case("long request id", invalid("request_id"), |r| r.request_id = Some("r".repeat(129))),
        case("request id with a space", invalid("request_id"), |r| r.request_id = Some("a b".to_owned())),
        case("request id not ASCII", invalid("request_id"), |r| r.request_id = Some("é".to_owned())),
    ]
}

fn prost_duration(seconds: i64, nanos: i32) -> prost_types::Duration {
    prost_types::Duration { seconds, nanos }
}

/// Proves: ID5, AU2, CO7
#[tokio::test]
async fn id5_every_field_is_bounded_and_each_refusal_has_its_reason_field_and_row() {
    let rpc = Rpc::start().await;
    for (what, expected, change) in shapes() {
        let mut request = rpc.grant_request(&ALICE, TicketHelper);
        change(&mut request);
        rpc.refused(what, expected, rpc.grants().issue_grant(rpc.by(TicketHelper, request))).await;
    }
    rpc.stop().await;
}

#[tokio::test]
async fn hostile_text_in_any_field_is_refused_by_that_field() {
    let rpc = Rpc::start().await;
    for text in hostile() {
        let fields: [(Expected<'_>, Set); 4] = [
            (if text.len() > 16_384 { invalid("assertion") } else { ASSERTION_INVALID }, |r, t| {
                r.assertion = t
            }),
            (invalid("connection"), |r, t| r.connection = Some(t)),
            (invalid("request_id"), |r, t| r.request_id = Some(format!("{t}é"))),
            (invalid("resource"), |r, t| r.resource = Some(format!(" / {t}"))),
        ];
        for (expected, set) in fields {
            let mut request = rpc.grant_request(&ALICE, TicketHelper);
            set(&mut request, text.clone());
            let what = format!("{expected:?} {text:.40}");
            rpc.refused(&what, expected, rpc.grants().issue_grant(rpc.by(TicketHelper, request))).await;
        }
    }
    rpc.stop().await;
}

/// Proves: ID1, ID4, ID10, ID15, PO2
#[tokio::test]
async fn id10_an_assertion_serves_only_the_server_it_was_minted_for_and_people_with_access() {
    let rpc = Rpc::start().await;
    let (world, sso) = (&rpc.world, rpc.world.sso());
    let audience = TicketHelper.audience();
    let cases = [
        ("another server's", world.assertion(&ALICE, ReportWriter), WRONG_AUDIENCE),
        ("the broker's own", world.operator_assertion(&ADMIN), WRONG_AUDIENCE),
        (
            "two audiences",
            sso.mint_with("alice", audience, json!({"aud": [audience, "https://other.example"]})),
            WRONG_AUDIENCE,
        ),
        (
            "expired",
            sso.mint_with(
                "alice",
                audience,
                json!({"exp": 1_789_990_000, "iat": 1_789_989_000, "auth_time": 1_789_989_000}),
            ),
            EXPIRED,
        ),
        ("no expiry", sso.mint_with("alice", audience, json!({"exp": null})), ASSERTION_INVALID),
        (
            "from the future",
            sso.mint_with("alice", audience, json!({"iat": 1_790_009_000})),
            ASSERTION_INVALID,
        ),
        ("no subject", sso.mint_with("alice", audience, json!({"sub": null})), ASSERTION_INVALID),
        (
            "a list as subject",
            sso.mint_with("alice", audience, json!({"sub": ["u-7f3a19c2e4"]})),
            ASSERTION_INVALID,
        ),
        (
            "unknown issuer",
            sso.mint_with("alice", audience, json!({"iss": "https://evil.example"})),
            (Code::Unauthenticated, "ISSUER_UNKNOWN", None),
        ),
        ("a pod's token", sso.mint_workload_token(TicketHelper.service_account(), audience), WRONG_AUDIENCE),
        ("no access", sso.mint_assertion(AUDITOR.name, audience), POLICY_DENIED),
    ];
    for (what, assertion, expected) in cases {
        let request = IssueGrantRequest { assertion, ..rpc.grant_request(&ALICE, TicketHelper) };
        rpc.refused(what, expected, rpc.grants().issue_grant(rpc.by(TicketHelper, request))).await;
    }
    rpc.stop().await;
}

/// Proves: GR5, GR4
#[tokio::test]
async fn gr5_scopes_are_a_set_and_a_request_id_is_for_one_request() {
    let rpc = Rpc::start().await;
    let connection = rpc.connect(&ALICE, TicketHelper).await;
    let request =
        IssueGrantRequest { request_id: Some("r-1".to_owned()), ..rpc.grant_request(&ALICE, TicketHelper) };
    let twice = IssueGrantRequest { scopes: vec!["notes.read".to_owned(); 70], ..request.clone() };
    let mut ids = Vec::new();
    for request in [request.clone(), twice, request.clone()] {
        let answer = in_time(rpc.grants().issue_grant(rpc.by(TicketHelper, request))).await.expect("a grant");
        let Some(Outcome::Grant(grant)) = answer.into_inner().outcome else { panic!("it is connected") };
        assert_eq!(grant.scopes, ["notes.read"]);
        ids.push(grant.id);
    }
    assert_eq!([&ids[0], &ids[0]], [&ids[1], &ids[2]], "the same request, the same grant");
    let reused = (Code::InvalidArgument, "REQUEST_ID_REUSED", None);
    let other = IssueGrantRequest { tool: "another".to_owned(), ..request };
    rpc.refused("another request", reused, rpc.grants().issue_grant(rpc.by(TicketHelper, other))).await;

    let bobs = IssueGrantRequest { connection: Some(connection), ..rpc.grant_request(&BOB, TicketHelper) };
    rpc.refused(
        "alice's connection for bob",
        NOT_FOUND,
        rpc.grants().issue_grant(rpc.by(TicketHelper, bobs)),
    )
    .await;
    assert_eq!(PROVIDER, "notes");
    rpc.stop().await;
}
