//! `broker init`: a starter configuration, a policy and fresh keys. Never overwrites keys or a database, and nothing else without being
//! told to.

use super::{Outcome, ask::Asker, output, replace};
use crate::{
    config::{Starter, StarterSso, starter},
    domain::{Clock, ExposeSecret, SecretString, SystemClock, SystemRng},
    keys::FileKeyring,
    policy,
};
use clap::Args;
use std::{
    error::Error,
    fs, io,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// Writes the starter files. Asks for the single sign-on on a terminal; the rest of the configuration says what comes next.
#[derive(Args)]
pub(super) struct Init {
    /// Where to write them.
    #[arg(default_value = ".")]
    directory: PathBuf,
    /// The issuer of your single sign-on: the exact `iss` of its tokens.
    #[arg(long, value_name = "URL")]
    issuer: Option<String>,
    /// The broker's client there.
    #[arg(long, value_name = "ID", requires = "issuer", default_value = "broker")]
    client_id: String,
    /// A file with that client's secret, or - for a line of standard input; without it a public client, on a terminal it is asked for.
    #[arg(long, value_name = "FILE", requires = "issuer")]
    client_secret_file: Option<PathBuf>,
    /// Replace the configuration and the policy that are there, keeping copies. Keys and a database always stay.
    #[arg(long)]
    force: bool,
    /// Ask nothing.
    #[arg(long)]
    no_input: bool,
    /// Print the result as JSON.
    #[arg(long)]
    json: bool,
}

const CONFIG: &str = "broker.yaml";
const POLICY: &str = "policy.cedar";
const KEYS: &str = "keys.json";
const DATABASE: &str = "broker.db";
const SECRET: &str = "sso-client-secret";

/// The single sign-on, as given or answered.
struct Sso {
    issuer: String,
    client_id: String,
    secret: Option<SecretString>,
}

/// What was done.
#[derive(Default)]
struct Done {
    wrote: Vec<(PathBuf, &'static str)>,
    kept: Vec<PathBuf>,
}

pub(super) fn run(init: &Init) -> Outcome {
    let directory = &init.directory;
    let asker = Asker::new(init.no_input);
    let replacing = may_write(init, &asker)?;
    let sso = sso(init, &asker)?;
    fs::create_dir_all(directory)?;
    let mut done = Done::default();
    if replacing {
        let secret = sso.as_ref().is_some_and(|sso| sso.secret.is_some());
        done.kept = put_aside(directory, if secret { &[CONFIG, POLICY, SECRET] } else { &[CONFIG, POLICY] })?;
    }
    let keys = directory.join(KEYS);
    if !keys.exists() {
        FileKeyring::generate(&keys, &SystemRng::default())?;
        done.wrote.push((keys, "the root keys; back them up apart from the database"));
    }
    let secret = sso.as_ref().and_then(|sso| sso.secret.as_ref());
    if let Some(secret) = secret {
        replace::write_new(&directory.join(SECRET), &format!("{}\n", secret.expose_secret()))?;
        done.wrote.push((directory.join(SECRET), "the secret of the broker's client at your single sign-on"));
    }
    replace::write_new(&directory.join(POLICY), policy::STARTER)?;
    done.wrote.push((directory.join(POLICY), "who may have what: nothing, until you write a rule"));
    let secret_file = secret.map(|_| SECRET);
    let sso =
        sso.as_ref().map(|sso| StarterSso { issuer: &sso.issuer, client_id: &sso.client_id, secret_file });
    let names = Starter { database: DATABASE, key_file: KEYS, policy_file: POLICY, sso };
    replace::write_new(&directory.join(CONFIG), &starter(&names))?;
    done.wrote.push((directory.join(CONFIG), "the configuration, with examples to uncomment"));
    report(init, &done)?;
    Ok(ExitCode::SUCCESS)
}

/// Whether files are to be replaced; an error where there are some and nobody said so.
fn may_write(init: &Init, asker: &Asker) -> Result<bool, Box<dyn Error>> {
    // All or nothing: a half-written starter would have to be cleaned up by hand.
    let all = [CONFIG, POLICY, KEYS, DATABASE, SECRET];
    let there: Vec<String> = all
        .map(|name| init.directory.join(name))
        .iter()
        .filter(|path| path.exists())
        .map(|path| path.display().to_string())
        .collect();
    if there.is_empty() {
        return Ok(false);
    }
    let question = format!(
        "{} exists. Write new ones, keeping copies? Keys and a database stay as they are.",
        there.join(", ")
    );
    if init.force || asker.agrees(&question)? {
        return Ok(true);
    }
    Err(format!("{} exists; nothing was written (--force replaces all but keys and database)", there[0])
        .into())
}

/// Keeps what will be written anew under another name.
fn put_aside(directory: &Path, names: &[&str]) -> io::Result<Vec<PathBuf>> {
    let mut kept = Vec::new();
    for path in names.iter().map(|name| directory.join(name)) {
        if path.exists() {
            kept.push(replace::keep(&path, SystemClock::default().now())?);
            fs::remove_file(&path)?;
        }
    }
    Ok(kept)
}

fn sso(init: &Init, asker: &Asker) -> Result<Option<Sso>, Box<dyn Error>> {
    let given = init.issuer.is_some();
    let issuer = match &init.issuer {
        Some(issuer) => issuer.clone(),
        None if asker.is_there() => {
            asker.text("Issuer of your single sign-on, a URL (empty: later)", None)?
        }
        None => String::new(),
    };
    if issuer.is_empty() {
        return Ok(None);
    }
    let client_id = match given {
        true => init.client_id.clone(),
        false => asker.text("The broker's client there", Some(&init.client_id))?,
    };
    let secret = match &init.client_secret_file {
        Some(path) if path.as_os_str() == "-" => Some(asker.secret("The client's secret")?),
        Some(path) => {
            let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
            Some(SecretString::from(text.trim_end_matches(['\r', '\n']).to_owned()))
        }
        None if asker.is_there() => Some(asker.secret("The client's secret (empty: none)")?),
        None => None,
    };
    let secret = secret.filter(|secret| !secret.expose_secret().is_empty());
    Ok(Some(Sso { issuer, client_id, secret }))
}

fn report(init: &Init, done: &Done) -> io::Result<()> {
    let config = init.directory.join(CONFIG);
    if init.json {
        let wrote: Vec<_> = done.wrote.iter().map(|(path, _)| path).collect();
        let report = serde_json::json!({ "wrote": wrote, "kept": done.kept, "config": config });
        return output::line(&report.to_string());
    }
    for path in &done.kept {
        output::line(&format!("kept  {}", path.display()))?;
    }
    let width = done.wrote.iter().map(|(path, _)| path.display().to_string().len()).max().unwrap_or(0);
    for (path, what) in done.wrote.iter().rev() {
        output::line(&format!("wrote {:width$}   {what}", path.display().to_string()))?;
    }
    output::line("")?;
    output::line(&format!("next: broker serve --config {}", config.display()))
}
