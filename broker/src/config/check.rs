//! The rules that sections share: URLs, durations, secrets, names, networks. Each notes its problem and goes on.

use super::{
    duration,
    load::Environment,
    problem::{Problem, Problems},
};
use crate::domain::SecretString;
use std::{
    io::Read,
    net::IpAddr,
    path::{Path, PathBuf},
    time::Duration,
};
use url::{Host, Url};

/// Largest secret, in bytes.
const LARGEST_SECRET: u64 = 64 * 1024;

/// Collects what is found.
pub(super) struct Check<'e> {
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
    base: PathBuf,
    environment: &'e Environment,
    /// Whether secrets are read; else their references are checked for their form alone.
    secrets: bool,
}

impl<'e> Check<'e> {
    pub(super) fn new(base: &Path, environment: &'e Environment) -> Self {
        Self { problems: Vec::new(), warnings: Vec::new(), base: base.to_owned(), environment, secrets: true }
    }

    /// Reads no secret: each is empty.
    pub(super) fn without_secrets(self) -> Self {
        Self { secrets: false, ..self }
    }

    pub(super) fn problem(&mut self, path: &str, message: impl Into<String>) {
        self.problems.push(Problem { path: path.to_owned(), message: message.into() });
    }

    pub(super) fn extend(&mut self, problems: Vec<Problem>) {
        self.problems.extend(problems);
    }

    pub(super) fn warning(&mut self, path: &str, message: impl Into<String>) {
        self.warnings.push(Problem { path: path.to_owned(), message: message.into() });
    }

    /// The result: `value` and the warnings, unless there was a problem.
    pub(super) fn finish<T>(self, value: Option<T>) -> Result<(T, Vec<Problem>), Problems> {
        match value {
            Some(value) if self.problems.is_empty() => Ok((value, self.warnings)),
            _ if self.problems.is_empty() => Err(Problems::one("", "is incomplete")),
            _ => Err(Problems { problems: self.problems, warnings: self.warnings }),
        }
    }

    /// A path from the file, relative ones taken from the configuration file's directory.
    pub(super) fn file(&mut self, path: &str, text: &str) -> PathBuf {
        if text.is_empty() {
            self.problem(path, "is empty");
        }
        self.base.join(text)
    }

    /// An `https` URL, or `http` to this machine (VA7).
    pub(super) fn url(&mut self, path: &str, text: &str) -> Option<Url> {
        let Ok(url) = Url::parse(text) else {
            self.problem(path, "is not a URL");
            return None;
        };
        let secure = url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url));
        if !secure {
            self.problem(path, "is not https; http is accepted for loopback addresses only");
        } else if !url.username().is_empty() || url.password().is_some() {
            self.problem(path, "has a user name or password in it; credentials have keys of their own");
        } else if url.fragment().is_some() {
            self.problem(path, "has a fragment (#…)");
        } else {
            return Some(url);
        }
        None
    }

    pub(super) fn optional_url(&mut self, path: &str, text: Option<&String>) -> Option<Url> {
        self.url(path, text?)
    }

    /// A duration, `default` when there is none.
    pub(super) fn duration(&mut self, path: &str, text: Option<&String>, default: Duration) -> Duration {
        let Some(text) = text else { return default };
        duration::parse(text).unwrap_or_else(|| {
            self.problem(path, NOT_A_DURATION);
            default
        })
    }

    /// Notes a problem when `value` is longer than `longest`.
    pub(super) fn at_most(&mut self, path: &str, value: Duration, longest: Duration) -> Duration {
        if value > longest {
            self.problem(path, format!("is longer than {} seconds", longest.as_secs()));
        }
        value
    }

    /// A name, id or scope.
    pub(super) fn parse<T, E: std::fmt::Display>(&mut self, path: &str, parsed: Result<T, E>) -> Option<T> {
        // The errors of the domain's readers name the kind of text they expected and never the text itself.
        parsed.map_err(|error| self.problem(path, format!("{error}"))).ok()
    }

    /// Words people read: 1 to 100 characters of one line, no control or bidirectional characters.
    pub(super) fn words(&mut self, path: &str, text: &str) -> String {
        let odd = |c: char| {
            c.is_control()
                || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        };
        let length = text.chars().count();
        if !(1..=100).contains(&length) || text.trim().is_empty() || text.chars().any(odd) {
            self.problem(path, "is not one line of 1 to 100 characters without control characters");
        }
        text.to_owned()
    }

    /// Any text that is not empty and not longer than `longest` bytes.
    pub(super) fn text(&mut self, path: &str, text: &str, longest: usize) -> String {
        if text.is_empty() || text.len() > longest || text.chars().any(char::is_control) {
            self.problem(path, format!("is not 1 to {longest} characters of one line"));
        }
        text.to_owned()
    }

    /// Address ranges in CIDR notation.
    pub(super) fn networks(&mut self, path: &str, texts: &[String]) -> Vec<String> {
        for (n, text) in texts.iter().enumerate() {
            if !is_network(text) {
                self.problem(&format!("{path}[{n}]"), "is not an address range such as 10.0.0.0/8");
            }
        }
        texts.to_vec()
    }

    /// A secret, by reference: `${file:/path}` or `${env:NAME}`.
    pub(super) fn secret(&mut self, path: &str, text: &str) -> Option<SecretString> {
        let reference = text.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        let secret = match reference.and_then(|inner| inner.split_once(':')) {
            Some(("file", file)) if !file.is_empty() && self.secrets => self.secret_file(file),
            Some(("env", name)) if is_variable(name) && self.secrets => self.secret_variable(name),
            Some(("file", rest) | ("env", rest)) if !rest.is_empty() && !self.secrets => Ok(String::new()),
            _ => Err(LITERAL_SECRET.to_owned()),
        };
        match secret {
            Ok(secret) => Some(SecretString::from(secret)),
            Err(message) => {
                self.problem(path, message);
                None
            }
        }
    }

    fn secret_file(&self, file: &str) -> Result<String, String> {
        let mut bytes = Vec::new();
        std::fs::File::open(self.base.join(file))
            .and_then(|opened| opened.take(LARGEST_SECRET + 1).read_to_end(&mut bytes))
            .map_err(|error| format!("refers to a file that cannot be read: {}", error.kind()))?;
        if bytes.len() as u64 > LARGEST_SECRET {
            return Err("refers to a file larger than 64 KiB".to_owned());
        }
        let text = String::from_utf8(bytes).map_err(|_| "refers to a file that is not UTF-8".to_owned())?;
        // Editors and `echo` end a file with a newline that is not part of the secret.
        one_secret(text.trim_end_matches(['\r', '\n']), "file")
    }

    fn secret_variable(&self, name: &str) -> Result<String, String> {
        let text = (self.environment)(name);
        one_secret(&text.ok_or("refers to an environment variable that is not set")?, "variable")
    }
}

pub(super) const NOT_A_DURATION: &str =
    "is not a duration: write a whole number and a unit, such as 90s, 10m, 1h or 30d";
pub(super) const LITERAL_SECRET: &str =
    "is a secret written out: put it into a file and write ${file:/path/to/it}, or ${env:NAME}";

fn one_secret(text: &str, kind: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err(format!("refers to an empty {kind}"));
    }
    if text.chars().any(char::is_control) {
        return Err(format!("refers to a {kind} with more than one line"));
    }
    Ok(text.to_owned())
}

fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether the URL's host is this machine.
pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost",
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

fn is_network(text: &str) -> bool {
    let Some((address, bits)) = text.split_once('/') else { return false };
    if bits.is_empty() || !bits.bytes().all(|b| b.is_ascii_digit()) {
        return false;
    }
    let (Ok(address), Ok(bits)) = (address.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    // Bits after the prefix would be ignored, and the writer meant something by them.
    match address {
        IpAddr::V4(address) => bits <= 32 && address.to_bits().checked_shl(bits).unwrap_or(0) == 0,
        IpAddr::V6(address) => bits <= 128 && address.to_bits().checked_shl(bits).unwrap_or(0) == 0,
    }
}
