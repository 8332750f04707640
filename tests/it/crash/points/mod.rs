//! A broker dies, or stands still, at each named point: what must come of it is in docs/reliability.md, and here as a table.

mod code;
mod ended;
mod fenced;
mod flushed;
mod full;
mod given_back;
mod held;
mod issue;
mod jumps;
mod keyless;
mod limits;
mod moved;
mod one_time;
mod orphaned;
mod outage;
mod outlasted;
mod refresh;
mod renewed;
mod rewrap;
mod scene;
mod steps;
mod unsent;
mod untold;

use std::collections::BTreeSet;

/// Each point that there is stands in one of the tables here.
///
/// Proves: RF5
#[test]
fn rf5_every_crash_point_has_its_outcome() {
    let (refresh, code) = (refresh::POINTS.iter().map(|p| p.0), code::POINTS.iter().map(|p| p.0));
    let (issue, rewrap) = (issue::POINTS.iter().map(|p| p.0), rewrap::POINTS.iter().map(|p| p.0));
    let steps = steps::POINTS;
    let told: BTreeSet<&str> = refresh.chain(code).chain(issue).chain(rewrap).chain(steps).collect();
    let all: BTreeSet<&str> = broker::crash::POINTS.iter().copied().collect();
    assert_eq!(told, all);
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/reliability.md"));
    let page = page.expect("docs/reliability.md");
    for point in all {
        assert!(page.contains(&format!("`{point}`")), "docs/reliability.md says nothing about {point}");
    }
}
