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
}

/// The text of a starter configuration: loopback only, nobody known, commented examples.
pub fn starter(files: &Starter<'_>) -> String {
    // A JSON string is a YAML double-quoted scalar.
    let quoted = |path: &str| serde_json::Value::from(path).to_string();
    TEXT.replace("@database@", &quoted(files.database))
        .replace("@keys@", &quoted(files.key_file))
        .replace("@policy@", &quoted(files.policy_file))
}
