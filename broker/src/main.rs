//! The `broker` binary: a thin command line over the library.

use clap::Parser;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::process::ExitCode;

/// Threads that allocate do not wait for each other.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A core dump would hold every key and token in memory. Before anything secret is read (VA4).
    if let Err(error) = no_core_dumps() {
        eprintln!("broker: core dumps cannot be switched off: {error}");
        return ExitCode::from(broker::cli::EXIT_FAILED);
    }
    // Libraries that demand a process-wide TLS provider get ring, before anything else runs.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("broker: a TLS provider was installed already");
        return ExitCode::from(broker::cli::EXIT_FAILED);
    }
    // One descriptor per connection: a caller who opens many must not use up those of the database. Not fatal: the limit stays.
    if let Err(error) = all_descriptors() {
        eprintln!("broker: the limit on open files cannot be raised: {error}");
    }
    broker::cli::run(broker::cli::Cli::parse())
}

/// As many open files as the system lets us have: the soft limit is often 1024.
fn all_descriptors() -> rustix::io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum })
}

/// No dump is written, however it ends; on Linux nobody else of the same user may look into its memory either.
fn no_core_dumps() -> rustix::io::Result<()> {
    setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) })?;
    #[cfg(target_os = "linux")]
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)?;
    Ok(())
}
