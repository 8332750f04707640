use crate::{
    audit::{Refusals, Summary},
    domain::{Clock, Entry, EventKind, ManualClock, Reason, SystemRng, Timestamp, WorkloadId},
};
use std::{net::IpAddr, sync::Arc, time::Duration};

fn refusals(budget: u32) -> (Refusals, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(Timestamp::from_unix_seconds(1_800_000_000)));
    (Refusals::new(clock.clone(), Arc::new(SystemRng::default()), budget), clock)
}

fn rows(refusals: &Refusals, summaries: Vec<Summary>) -> Vec<Entry> {
    summaries.iter().map(|summary| refusals.entry(summary)).collect()
}

fn total(rows: &[Entry]) -> u64 {
    rows.iter().map(|row| row.draft.detail["count"].as_u64().unwrap()).sum()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Proves: AU2
#[test]
fn au2_refusals_before_authentication_are_one_row_per_place_reason_and_minute() {
    let (refusals, clock) = refusals(0);
    for source in ["192.0.2.1", "192.0.2.200", "::ffff:192.0.2.9", "198.51.100.1", "2001:db8:1:2::3"] {
        refusals.count("grpc", Reason::WorkloadCredentialMissing, ip(source));
    }
    refusals.count("web", Reason::WorkloadCredentialMissing, ip("192.0.2.1"));
    assert!(refusals.drain(clock.now()).is_empty(), "the minute is not over");
    clock.advance(Duration::from_secs(60));
    let rows = rows(&refusals, refusals.drain(clock.now()));
    let seen: Vec<_> = rows
        .iter()
        .map(|e| {
            assert_eq!(e.draft.kind, EventKind::RefusalsSummary);
            let text = |name| e.draft.detail[name].to_string();
            (text("listener"), text("source_prefix"), text("count"))
        })
        .collect();
    let expected = [
        ("\"grpc\"", "\"192.0.2.0/24\"", "3"),
        ("\"grpc\"", "\"198.51.100.0/24\"", "1"),
        ("\"grpc\"", "\"2001:db8:1::/48\"", "1"),
        ("\"web\"", "\"192.0.2.0/24\"", "1"),
    ];
    assert_eq!(seen, expected.map(|(a, b, c)| (a.to_owned(), b.to_owned(), c.to_owned())));
    assert!(refusals.drain(clock.now()).is_empty(), "drained once");
}

/// Proves: AU2
#[test]
fn au2_a_flood_from_everywhere_stays_bounded_and_loses_no_count() {
    let (refusals, _) = refusals(0);
    for n in 0..20_000u32 {
        refusals.count("grpc", Reason::AssertionInvalid, IpAddr::from((n << 8).to_be_bytes()));
    }
    let rows = rows(&refusals, refusals.drain_all());
    assert!(rows.len() <= 4097, "{}", rows.len());
    assert_eq!(total(&rows), 20_000);
}

/// Proves: AU2
#[test]
fn au2_a_workloads_denials_beyond_its_budget_are_summed_up() {
    let (refusals, clock) = refusals(2);
    let noisy = WorkloadId::parse("noisy").unwrap();
    let quiet = WorkloadId::parse("quiet").unwrap();
    let spend = |who: &WorkloadId| refusals.spend("grpc", Reason::PolicyDenied, who);
    assert_eq!([spend(&noisy), spend(&noisy), spend(&noisy), spend(&noisy)], [true, true, false, false]);
    assert!(spend(&quiet), "one workload's noise costs another nothing");
    clock.advance(Duration::from_secs(60));
    assert!(spend(&noisy), "a new minute");
    let rows = rows(&refusals, refusals.drain(clock.now()));
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].draft.workload, Some(noisy));
    assert_eq!(rows[0].draft.detail["count"], 2);
}

/// Proves: AU2
#[test]
fn au2_what_could_not_be_written_is_counted_with_what_comes_later() {
    let (refusals, clock) = refusals(0);
    let refuse = || refusals.count("grpc", Reason::AssertionInvalid, ip("192.0.2.1"));
    refuse();
    clock.advance(Duration::from_secs(60));
    refuse();
    let unwritten = refusals.drain_all();
    assert_eq!(unwritten.len(), 2);
    refuse();
    refusals.put_back(unwritten);
    let rows = rows(&refusals, refusals.drain_all());
    let counts: Vec<_> = rows.iter().map(|row| row.draft.detail["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [1, 2], "each in its minute");
}

/// Proves: AU2
#[test]
fn au2_a_flood_through_a_long_outage_stays_bounded_and_loses_no_count() {
    let (refusals, clock) = refusals(0);
    for n in 0..10_000_u32 {
        refusals.count("grpc", Reason::AssertionInvalid, IpAddr::from((n << 8).to_be_bytes()));
        clock.advance(Duration::from_secs(60));
        if n % 1000 == 0 {
            refusals.put_back(refusals.drain(clock.now()));
        }
    }
    let rows = rows(&refusals, refusals.drain_all());
    assert!(rows.len() <= 4096 + 1024 + 1, "{}", rows.len());
    assert_eq!(total(&rows), 10_000);
}
