//! The tests of the main job once more, on PostgreSQL: this binary runs itself with another database.

use std::process::{Command, Stdio};

use broker_tests::dialect::VARIABLE;

/// Each must have tests.
const MODULES: &[&str] = &["grants::", "revocation::", "consent::"];
/// Several brokers are on PostgreSQL anyway; what locks a SQLite file has its counterpart in `postgres::faults`; the last six edit the
/// database in SQLite's own words, or take a table away that PostgreSQL's commit names.
const WITHOUT: &[&str] = &[
    "replicas::",
    "postgres::",
    "rpc::",
    "revocation::unavailable::",
    "rv1_what_comes_for_a_consent_that",
    "rv1_va9_added_rows_of_the_queue",
    "rv1_va9_what_names_an_unknown_key",
    "rf3_a_caller_who_leaves_while_the_intent",
    "au2_refusals_of_an_outage",
    "co9_what_came_is_kept_while_the_connections",
];

/// Grants, refusals, revocations, floods, and consents with certified peers.
///
/// Proves: GR5, RV2, CO1, CO3
#[test]
fn the_tests_of_the_main_job_pass_on_postgresql() {
    let mut command = Command::new(std::env::current_exe().expect("the test binary has a path"));
    command.args(MODULES).args(WITHOUT.iter().flat_map(|name| ["--skip", name]));
    command.env(VARIABLE, "postgres").stdin(Stdio::null());
    let ran = command.output().expect("it runs");
    let told = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{told}\n{}", String::from_utf8_lossy(&ran.stderr));
    for module in MODULES {
        let passed =
            told.lines().filter(|line| line.starts_with(&format!("test {module}")) && line.ends_with("ok"));
        assert!(passed.count() > 8, "{module}: {told}");
    }
}
