//! The `broker` binary as operators meet it: exit codes, sentences, files.

mod audit;
mod init;
mod lists;
mod memory;
mod migrate;
mod policy;
mod questions;
mod refusals;
mod stop;
mod workload;

use broker_tests::process::{Ran, run};
use std::path::Path;

/// Runs a command that must not work: its exit code, and what it says contains each of `words`.
async fn refused(directory: &Path, args: &[&str], code: i32, words: &[&str]) -> Ran {
    let ran = run(directory, args).await;
    assert_eq!(ran.code, code, "{args:?}: {ran:?}");
    let said = format!("{}{}", ran.stdout, ran.stderr);
    for word in words {
        assert!(said.contains(word), "{args:?} does not say {word:?}: {said}");
    }
    assert!(!said.contains("panicked"), "{said}");
    ran
}

/// Runs a command that must work; answers its standard output.
async fn works(directory: &Path, args: &[&str]) -> String {
    let ran = run(directory, args).await;
    assert_eq!(ran.code, 0, "{args:?}: {ran:?}");
    ran.stdout
}
