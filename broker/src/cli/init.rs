//! `broker init`: a starter configuration, a policy and fresh keys. Never overwrites anything.

use super::{Outcome, output};
use crate::{
    config::{Starter, starter},
    domain::SystemRng,
    keys::FileKeyring,
    policy,
};
use clap::Args;
use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Writes the starter files.
#[derive(Args)]
pub(super) struct Init {
    /// Where to write them.
    #[arg(default_value = ".")]
    directory: PathBuf,
}

const CONFIG: &str = "broker.yaml";
const POLICY: &str = "policy.cedar";
const KEYS: &str = "keys.json";
const DATABASE: &str = "broker.db";

pub(super) fn run(init: &Init) -> Outcome {
    let directory = &init.directory;
    fs::create_dir_all(directory)?;
    // All or nothing: a half-written starter would have to be cleaned up by hand.
    for name in [CONFIG, POLICY, KEYS, DATABASE] {
        if directory.join(name).exists() {
            let message = format!("{} exists; nothing was written", directory.join(name).display());
            return Err(message.into());
        }
    }
    FileKeyring::generate(&directory.join(KEYS), &SystemRng::default())?;
    write(&directory.join(POLICY), policy::STARTER)?;
    let names = Starter { database: DATABASE, key_file: KEYS, policy_file: POLICY };
    write(&directory.join(CONFIG), &starter(&names))?;
    let shown = |name: &str| directory.join(name).display().to_string();
    output::line(&format!("wrote {}   the configuration, with examples to uncomment", shown(CONFIG)))?;
    output::line(&format!("wrote {}   who may have what: nothing, until you write a rule", shown(POLICY)))?;
    output::line(&format!("wrote {}     the root keys; back them up apart from the database", shown(KEYS)))?;
    output::line("")?;
    output::line(&format!("next: broker serve --config {}", shown(CONFIG)))?;
    Ok(ExitCode::SUCCESS)
}

fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}
