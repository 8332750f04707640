//! The log of all this: read by an auditor over the contract, and verified beside the running broker.

use std::sync::Arc;

use broker::app;
use broker::audit::verify::{self as log, Verified};
use broker::config::Config;
use broker::keys::FileKeyring;
use broker_client::proto::audit_service_client::AuditServiceClient;
use broker_client::proto::{AuditEvent, AuditOutcome, ListAuditEventsRequest};

use crate::story::stage::Stage;
use crate::story::teller::{Mishap, Scene, Told, ensure};
use crate::world::AUDITOR;

/// What must be in the log after this story: how many of a kind, with which outcome and reason.
const EXPECTED: [(usize, &str, AuditOutcome, &str); 7] = [
    (9, "grant.issue", AuditOutcome::Allowed, ""),
    (7, "grant.issue", AuditOutcome::ConsentRequired, ""),
    (1, "grant.issue", AuditOutcome::Denied, "ASSERTION_AUDIENCE"),
    (5, "consent.completed", AuditOutcome::Allowed, ""),
    (1, "consent.user_mismatch", AuditOutcome::Denied, "CONSENT_USER_MISMATCH"),
    (1, "refresh.stored", AuditOutcome::Allowed, ""),
    (1, "connection.revoked", AuditOutcome::Allowed, ""),
];

/// The whole log as a table; answers how many events it holds.
pub(in crate::story) async fn read(stage: &Stage) -> Scene<u64> {
    let events = events(stage).await?;
    for (times, kind, outcome, reason) in EXPECTED {
        let same = |e: &&AuditEvent| e.kind == kind && e.outcome() == outcome && e.reason == reason;
        let found = events.iter().filter(same).count();
        ensure(found == times, || format!("{found} events {kind} {outcome:?} {reason}, not {times}"))?;
    }
    let head = line(&["#", "UTC", "what happened", "how it ended", "tool server", "who"].map(str::to_owned));
    let mut lines = vec![head];
    lines.extend(events.iter().map(|event| line(&cells(event))));
    lines.push(
        "People appear as keyed pseudonyms; their names are sealed, each under a key of its own.".to_owned(),
    );
    Told::with(u64::try_from(events.len())?, lines)
}

/// What `broker audit verify` does, on the same files and beside the running broker.
pub(in crate::story) async fn verify(stage: &Stage, told: u64) -> Scene<()> {
    let (clock, rng) = (Arc::clone(stage.world.clock()), Arc::clone(stage.world.rng()));
    let config = Config::load(&stage.world.config_path())?;
    let store = app::open_store_read_only(&config).await?;
    let keys = app::open_keys(FileKeyring::load(&config.keys.file)?, &store, &clock, &rng).await?;
    let verified = log::verify(&*store.ledger, &*store.audit_log, &keys.audit_keys(), &mut |_| {}).await?;
    ensure(verified.events >= told, || format!("{} events verified, {told} listed", verified.events))?;
    let Verified { events, streams, .. } = verified;
    let streams = if streams == 1 { "1 stream".to_owned() } else { format!("{streams} streams") };
    Told::lines([
        format!(
            "verified: {events} events in {streams}, every hash and MAC recomputed from the bytes as first"
        ),
        "written. `broker audit verify` does the same, also beside a running broker.".to_owned(),
    ])
}

async fn events(stage: &Stage) -> Result<Vec<AuditEvent>, Mishap> {
    let mut client = AuditServiceClient::connect(stage.world.grpc_url()).await?;
    let mut request = ListAuditEventsRequest {
        assertion: Some(stage.world.operator_assertion(&AUDITOR)),
        page_size: 100,
        ..ListAuditEventsRequest::default()
    };
    let mut events = Vec::new();
    loop {
        let page = client.list_audit_events(request.clone()).await?.into_inner();
        events.extend(page.events);
        if page.next_page_token.is_empty() {
            return Ok(events);
        }
        request.page_token = page.next_page_token;
    }
}

fn cells(event: &AuditEvent) -> [String; 6] {
    let ended = match event.outcome() {
        AuditOutcome::Allowed => "allowed",
        AuditOutcome::Denied => "denied",
        AuditOutcome::ConsentRequired => "asks the user",
        AuditOutcome::Failed => "failed",
        AuditOutcome::Unspecified => "?",
    };
    // A refusal's reason says more than that it is one.
    let ended = if event.reason.is_empty() { ended } else { &event.reason };
    let who: String = event.subject_pseudonym.chars().take(6).collect();
    [
        event.seq.to_string(),
        event.time.map_or_else(String::new, |time| time_of_day(time.seconds)),
        event.kind.clone(),
        ended.to_owned(),
        event.workload.clone(),
        who,
    ]
}

fn time_of_day(unix: i64) -> String {
    let second = unix.rem_euclid(86_400);
    format!("{:02}:{:02}:{:02}", second / 3600, second / 60 % 60, second % 60)
}

fn line(cells: &[String; 6]) -> String {
    let [number, time, kind, ended, workload, who] = cells;
    format!("{number:>3}  {time:<8}  {kind:<26}  {ended:<22}  {workload:<13}  {who}").trim_end().to_owned()
}
