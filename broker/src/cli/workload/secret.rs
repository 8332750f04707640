//! A workload's secret: made here or brought along, handed over once, kept by the broker as its hash alone.

use super::super::{ask::Asker, output, replace::Prepared};
use crate::{
    config::edit::EditError,
    domain::{ExposeSecret, SecretString, SystemRng},
    identity::StaticSecret,
};
use clap::Args;
use std::{error::Error, io::IsTerminal, path::PathBuf};

/// Shortest secret that is taken, in characters.
const SHORTEST: usize = 32;

/// Where the secret comes from and goes to.
#[derive(Args)]
pub(super) struct Handover {
    /// Write the secret into this file (mode 0600) instead of onto the terminal.
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Take a secret made elsewhere: typed without being shown, or a line of standard input. At least 32 characters.
    #[arg(long)]
    own_secret: bool,
    /// Write over an existing secret file without asking.
    #[arg(long)]
    force: bool,
    /// Ask nothing.
    #[arg(long)]
    pub(super) no_input: bool,
}

/// A secret that is ready to be handed over.
pub(super) struct Ready {
    pub(super) sha256: String,
    secret: SecretString,
    own: bool,
    file: Option<(PathBuf, Prepared)>,
}

impl Handover {
    /// Makes or takes the secret and sees to it that it can be handed over, before anything is changed.
    pub(super) fn prepare(&self, asker: &Asker, json: bool) -> Result<Ready, Box<dyn Error>> {
        let shown = !json && std::io::stdout().is_terminal();
        if self.secret_file.is_none() && !self.own_secret && !shown {
            let message =
                "the secret is shown once, on a terminal, and there is none: name a file with --secret-file";
            return Err(message.into());
        }
        let secret =
            if self.own_secret { own(asker)? } else { StaticSecret::generate(&SystemRng::default()).secret };
        let file = match &self.secret_file {
            None => None,
            Some(path) => {
                let asked = || asker.agrees(&format!("{} exists. Write over it?", path.display()));
                if path.exists() && !self.force && !asked()? {
                    let name = path.display();
                    return Err(format!("{name} exists; nothing was written (--force writes over it)").into());
                }
                Some((path.clone(), Prepared::secret(path, &format!("{}\n", secret.expose_secret()))?))
            }
        };
        let sha256 = data_encoding::HEXLOWER.encode(&StaticSecret::hash(secret.expose_secret()));
        Ok(Ready { sha256, secret, own: self.own_secret, file })
    }
}

impl Ready {
    /// Hands it over, once the configuration holds its hash; answers the file's name.
    pub(super) fn hand_over(self) -> std::io::Result<Option<String>> {
        match self.file {
            Some((path, prepared)) => {
                prepared.take_place()?;
                Ok(Some(path.display().to_string()))
            }
            // Who brought it along has it.
            None if self.own => Ok(None),
            None => {
                let secret = self.secret.expose_secret();
                output::line(&format!(
                    "secret: {secret}\nIt is shown this once; the broker keeps its hash alone."
                ))?;
                Ok(None)
            }
        }
    }
}

/// Hands the secret over, once the change was made, and where it is left to a person: the lines they are told hold its hash.
pub(super) fn settle(
    changed: Result<Option<String>, Box<dyn Error>>,
    ready: Option<Ready>,
) -> Result<(Option<String>, Option<String>), Box<dyn Error>> {
    match changed {
        Ok(copy) => Ok((copy, ready.map(Ready::hand_over).transpose()?.flatten())),
        Err(error) if matches!(error.downcast_ref(), Some(EditError::ByHand(_))) => {
            match ready.map(Ready::hand_over).transpose()?.flatten() {
                Some(file) => Err(format!("{error}\nthe secret of this hash is in {file}").into()),
                None => Err(error),
            }
        }
        Err(error) => Err(error),
    }
}

fn own(asker: &Asker) -> Result<SecretString, Box<dyn Error>> {
    let secret = asker.secret("The secret")?;
    let text = secret.expose_secret();
    if text.chars().count() < SHORTEST || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(format!("a secret has at least {SHORTEST} characters, all of them visible ASCII").into());
    }
    Ok(secret)
}
