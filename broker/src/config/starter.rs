//! The configuration `broker init` writes: it starts as it is and says what to configure next.

const TEXT: &str = include_str!("starter.yaml");

/// Where the starter configuration's files are; relative paths start at the configuration file's directory.
#[derive(Clone, Copy, Debug)]
pub struct Starter<'a> {
    /// The SQLite database.
    pub database: &'a str,
    /// The root key.
    pub key_file: &'a str,
    /// The rules.
    pub policy_file: &'a str,
    /// The single sign-on, where it is known already; else its section stays an example.
    pub sso: Option<StarterSso<'a>>,
}

/// The single sign-on of a starter configuration.
#[derive(Clone, Copy, Debug)]
pub struct StarterSso<'a> {
    /// The exact `iss` of its tokens.
    pub issuer: &'a str,
    /// The broker's client there.
    pub client_id: &'a str,
    /// The file with that client's secret; `None` = a public client.
    pub secret_file: Option<&'a str>,
}

/// The text of a starter configuration: loopback only, commented examples, nobody known but the single sign-on.
pub fn starter(files: &Starter<'_>) -> String {
    // A JSON string is a YAML double-quoted scalar.
    let quoted = |text: &str| serde_json::Value::from(text).to_string();
    let text = match &files.sso {
        None => TEXT.to_owned(),
        Some(sso) => with_sso(TEXT, sso, quoted),
    };
    text.replace("@database@", &quoted(files.database))
        .replace("@keys@", &quoted(files.key_file))
        .replace("@policy@", &quoted(files.policy_file))
}

/// The example of `issuers` becomes configuration, with the values given.
fn with_sso(text: &str, sso: &StarterSso<'_>, quoted: impl Fn(&str) -> String) -> String {
    let secret = sso.secret_file.map(|file| quoted(&format!("${{file:{file}}}")));
    let mut inside = false;
    let lines = text.lines().filter_map(|line| {
        inside = line == "#issuers:" || (inside && line.starts_with("# "));
        let Some(line) = line.strip_prefix('#').filter(|_| inside) else { return Some(line.to_owned()) };
        // The value in its place; the comment behind it is about the example.
        let with = |key: &str, value: &str| Some(format!("{key}{value}"));
        match line.split_once(": ") {
            Some((key, _)) if key.ends_with(" issuer") => with(key, &format!(": {}", quoted(sso.issuer))),
            Some((key, _)) if key.ends_with(" client_id") => {
                with(key, &format!(": {}", quoted(sso.client_id)))
            }
            Some((key, _)) if key.ends_with(" client_secret") => {
                with(key, &format!(": {}", secret.as_ref()?))
            }
            _ => Some(line.to_owned()),
        }
    });
    lines.map(|line| line + "\n").collect()
}
