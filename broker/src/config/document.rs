//! From bytes to a document that fits the schema. No message here repeats anything from the file but known keys.

use super::{
    problem::{Problem, Problems},
    schema::SCHEMA,
};
use jsonschema::{
    ValidationError,
    error::{TypeKind, ValidationErrorKind as Kind},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::{io::Read, path::Path};

/// Largest configuration, in bytes.
const LARGEST: u64 = 1024 * 1024;

/// Reads a file of at most 1 MiB of UTF-8.
pub(super) fn read(file: &Path) -> Result<String, Problems> {
    let problem = |message: String| Problems::one(&file.display().to_string(), message);
    let mut bytes = Vec::new();
    std::fs::File::open(file)
        .and_then(|opened| opened.take(LARGEST + 1).read_to_end(&mut bytes))
        .map_err(|error| problem(format!("cannot be read: {}", error.kind())))?;
    if bytes.len() as u64 > LARGEST {
        return Err(problem(TOO_LARGE.to_owned()));
    }
    String::from_utf8(bytes).map_err(|_| problem("is not UTF-8".to_owned()))
}

const TOO_LARGE: &str = "is larger than 1 MiB";

/// Parses strict YAML 1.2: one document, no duplicate keys, `no` is a word, bounded depth and aliases.
pub(super) fn parse(text: &str) -> Result<Value, Problems> {
    parse_as(text)
}

/// As [`parse`], into any type.
pub(super) fn parse_as<T: DeserializeOwned>(text: &str) -> Result<T, Problems> {
    if text.len() as u64 > LARGEST {
        return Err(Problems::one("", TOO_LARGE));
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_depth: 32, max_events: 200_000, max_aliases: 1_000, max_anchors: 1_000 },
        alias_limits: serde_saphyr::alias_limits! { max_total_replayed_events: 20_000 },
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        merge_keys: serde_saphyr::MergeKeyPolicy::Error,
        strict_booleans: true,
        reject_unsupported_tags: true,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| yaml_problem(&error))
}

/// The place and the kind of error. Its own text may quote the file and is dropped.
fn yaml_problem(error: &serde_saphyr::Error) -> Problems {
    use serde_saphyr::Error;
    let path = error
        .location()
        .filter(|place| place.line() > 0)
        .map_or(String::new(), |place| format!("line {}, column {}", place.line(), place.column()));
    let mut inner = error;
    while let Error::AliasError { error, .. } = inner {
        inner = error;
    }
    let message = match inner {
        Error::DuplicateMappingKey { .. } => "a key is given twice",
        Error::MultipleDocuments { .. } => "a second document begins: the configuration is one document",
        Error::MergeKeyNotAllowed { .. } => "merge keys (<<) are not supported",
        Error::UnknownAnchor { .. } => "an alias has no anchor",
        Error::Budget { .. }
        | Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. }
        | Error::AliasReplayCounterOverflow { .. } => {
            "is nested too deeply, too long, or has too many aliases"
        }
        Error::Eof { .. } => "ends in the middle",
        _ => "is not valid YAML",
    };
    Problems::one(&path, message)
}

/// Everything in `document` that does not fit the schema.
pub(super) fn misfits(document: &Value) -> Vec<Problem> {
    let schema: Value = match serde_json::from_str(SCHEMA) {
        Ok(schema) => schema,
        Err(_) => return vec![problem(String::new(), "the built-in schema is not JSON".to_owned())],
    };
    match jsonschema::draft202012::new(&schema) {
        Ok(validator) => validator.iter_errors(document).flat_map(|error| misfit(&error)).collect(),
        Err(_) => vec![problem(String::new(), "the built-in schema is wrong".to_owned())],
    }
}

fn problem(path: String, message: String) -> Problem {
    Problem { path, message }
}

fn misfit(error: &ValidationError<'_>) -> Vec<Problem> {
    let path = path_of(error.instance_path().as_str());
    match error.kind() {
        Kind::AdditionalProperties { unexpected } => {
            let unknown = |key: &String| problem(join(&path, key), "is not a known key".to_owned());
            unexpected.iter().map(unknown).collect()
        }
        Kind::Required { property } => {
            vec![problem(join(&path, property.as_str().unwrap_or("?")), "is missing".to_owned())]
        }
        other => vec![problem(path, sentence(other))],
    }
}

fn sentence(kind: &Kind) -> String {
    match kind {
        Kind::Type { kind } => type_sentence(kind),
        Kind::OneOfNotValid { context } | Kind::AnyOf { context } => {
            let each = context.iter().flatten().map(ValidationError::kind);
            let words: Vec<_> = each
                .flat_map(|kind| match kind {
                    Kind::Constant { expected_value } => vec![expected_value.to_string()],
                    Kind::Enum { options } => {
                        options.as_array().into_iter().flatten().map(Value::to_string).collect()
                    }
                    _ => Vec::new(),
                })
                .collect();
            one_of(&words)
        }
        Kind::Enum { options } => {
            one_of(&options.as_array().into_iter().flatten().map(Value::to_string).collect::<Vec<_>>())
        }
        Kind::Minimum { limit } => format!("is less than {limit}"),
        Kind::Maximum { limit } => format!("is more than {limit}"),
        Kind::MinLength { limit } => format!("is shorter than {limit}"),
        Kind::MaxLength { limit } => format!("is longer than {limit}"),
        other => format!("does not fit the schema ({})", other.keyword()),
    }
}

fn one_of(words: &[String]) -> String {
    if words.is_empty() {
        return "does not fit the schema".to_owned();
    }
    format!("is not one of: {}", words.join(", ").replace('"', ""))
}

fn type_sentence(kind: &TypeKind) -> String {
    let TypeKind::Single(expected) = kind else { return "has the wrong type".to_owned() };
    match expected.as_str() {
        "string" => "is not text (quote a number, true or false that is meant as text)",
        "integer" => "is not a whole number",
        "number" => "is not a number",
        "boolean" => "is not true or false",
        "array" => "is not a list",
        "object" => "is not a mapping of keys to values",
        _ => "has the wrong type",
    }
    .to_owned()
}

/// `/issuers/0/issuer` as `issuers[0].issuer`.
fn path_of(pointer: &str) -> String {
    let mut path = String::new();
    for part in pointer.split('/').skip(1) {
        if part.bytes().all(|b| b.is_ascii_digit()) {
            path.push_str(&format!("[{part}]"));
        } else {
            path = join(&path, &part.replace("~1", "/").replace("~0", "~"));
        }
    }
    path
}

/// Keys come from the file: one that does not look like a key is not repeated.
fn join(path: &str, key: &str) -> String {
    let plain =
        key.len() <= 40 && key.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    let key = if plain { key } else { "(some key)" };
    if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") }
}
