//! `broker workload rotate`.

use super::{
    super::{ConfigFile, Outcome, ask::Asker, output},
    add::whole_seconds,
    change::{TAKES_EFFECT, change},
    secret::{Handover, settle},
};
use crate::{
    config::{
        duration,
        edit::{NewCredential, rotate_secret},
    },
    domain::{Clock, SystemClock},
};
use clap::Args;
use std::process::ExitCode;

#[derive(Args)]
pub(in crate::cli) struct Rotate {
    /// Which one.
    id: String,
    #[command(flatten)]
    file: ConfigFile,
    /// How long its earlier secrets still work.
    #[arg(long, value_name = "DURATION", default_value = "1d")]
    overlap: String,
    /// When the new secret stops working, from now, such as 90d.
    #[arg(long, value_name = "DURATION")]
    expires_in: Option<String>,
    #[command(flatten)]
    handover: Handover,
    /// Keep no copy of the configuration as it was.
    #[arg(long)]
    no_backup: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(rotate: &Rotate) -> Outcome {
    let now = SystemClock::default().now();
    let after = |option: &str, text: &String| match duration::parse(text) {
        Some(wait) => Ok(whole_seconds(now.plus(wait))),
        None => Err(format!("{option} is a whole number and a unit, such as 12h or 90d")),
    };
    let old_ends = after("--overlap", &rotate.overlap)?;
    let not_after = rotate.expires_in.as_ref().map(|text| after("--expires-in", text)).transpose()?;
    let asker = Asker::new(rotate.handover.no_input);
    let ready = rotate.handover.prepare(&asker, rotate.json)?;
    let new = NewCredential::StaticSecret { sha256: ready.sha256.clone(), not_after };
    let id = &rotate.id;
    let changed =
        change(&rotate.file.config, !rotate.no_backup, |text| rotate_secret(text, id, &new, &old_ends));
    let (copy, secret_file) = settle(changed, Some(ready))?;
    if rotate.json {
        let report = serde_json::json!({
            "workload": id, "config": rotate.file.config, "kept": copy, "secret_file": secret_file, "earlier_end": old_ends,
        });
        output::line(&report.to_string())?;
        return Ok(ExitCode::SUCCESS);
    }
    output::line(&format!("{id} has another secret; its earlier ones end at {old_ends}"))?;
    for (what, name) in [("the secret is in", &secret_file), ("the file as it was is", &copy)] {
        if let Some(name) = name {
            output::line(&format!("{what} {name}"))?;
        }
    }
    output::line(&format!("{TAKES_EFFECT} Then hand over the secret, before the earlier ones end."))?;
    Ok(ExitCode::SUCCESS)
}
