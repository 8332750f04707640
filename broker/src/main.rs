//! The `broker` binary: a thin command line over the library.

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    // Libraries that demand a process-wide TLS provider get ring, before anything else runs.
    if rustls::crypto::ring::default_provider().install_default().is_err() {
        eprintln!("broker: a TLS provider was installed already");
        return ExitCode::from(broker::cli::EXIT_FAILED);
    }
    broker::cli::run(broker::cli::Cli::parse())
}
