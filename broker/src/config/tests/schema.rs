use crate::config::schema::{SCHEMA, generate};
use std::path::Path;

#[test]
fn the_committed_schema_is_the_generated_one() {
    let generated = generate();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("config.schema.json");
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&file, &generated).unwrap();
    }
    let committed = std::fs::read_to_string(&file).unwrap();
    assert!(
        committed == generated,
        "the schema drifted: run the tests with UPDATE_SCHEMA=1 and commit the file"
    );
}

#[test]
fn every_key_is_described() {
    fn walk(path: &str, schema: &serde_json::Value, bare: &mut Vec<String>) {
        if let Some(fields) = schema.get("properties").and_then(|p| p.as_object()) {
            for (key, field) in fields {
                if field.get("description").is_none() {
                    bare.push(format!("{path}.{key}"));
                }
            }
        }
        for (name, definition) in schema.get("$defs").and_then(|d| d.as_object()).into_iter().flatten() {
            walk(name, definition, bare);
        }
    }
    let mut bare = Vec::new();
    walk("", &serde_json::from_str(SCHEMA).unwrap(), &mut bare);
    assert_eq!(bare, Vec::<String>::new());
}
