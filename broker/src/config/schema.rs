//! The JSON schema of the configuration: generated from the sections' types, committed, and what files are checked
//! against. A test fails when it drifts.

#[cfg(test)]
pub(super) use generate::generate;

/// The committed schema (JSON Schema 2020-12), as `broker config schema` prints it.
pub const SCHEMA: &str = include_str!("../../config.schema.json");

#[cfg(test)]
mod generate {
    use super::super::load::RawConfig;
    use schemars::generate::SchemaSettings;
    use serde_json::{Value, json};

    /// Generates the schema anew.
    pub(in super::super) fn generate() -> String {
        let schema = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<RawConfig>();
        let mut schema = schema.to_value();
        refuse_null(&mut schema);
        drop_raw(&mut schema);
        if let Value::Object(root) = &mut schema {
            root.insert("title".to_owned(), json!("Configuration of the token broker"));
        }
        format!("{schema:#}\n")
    }

    /// A key that is there has a value: `key:` with nothing behind it is a mistake, not an absence.
    fn refuse_null(schema: &mut Value) {
        match schema {
            Value::Array(items) => items.iter_mut().for_each(refuse_null),
            Value::Object(fields) => {
                if let Some(Value::Array(types)) = fields.get_mut("type") {
                    types.retain(|kind| kind != "null");
                    if let [only] = &types[..] {
                        let only = only.clone();
                        fields.insert("type".to_owned(), only);
                    }
                }
                if let Some(Value::Array(options)) = fields.get_mut("anyOf") {
                    options.retain(|option| option.get("type").is_none_or(|kind| kind != "null"));
                    if let [Value::Object(only)] = &options[..] {
                        let only = only.clone();
                        fields.remove("anyOf");
                        fields.extend(only);
                    }
                }
                if fields.get("default") == Some(&Value::Null) {
                    fields.remove("default");
                }
                fields.values_mut().for_each(refuse_null);
            }
            _ => {}
        }
    }

    /// Editors show the names of definitions: `RawListener` becomes `Listener`.
    fn drop_raw(schema: &mut Value) {
        match schema {
            Value::String(text) => {
                if let Some(name) = text.strip_prefix("#/$defs/Raw") {
                    *text = format!("#/$defs/{name}");
                }
            }
            Value::Array(items) => items.iter_mut().for_each(drop_raw),
            Value::Object(fields) => {
                if let Some(Value::Object(definitions)) = fields.get_mut("$defs") {
                    let old = std::mem::take(definitions);
                    let plain = |name: String| name.strip_prefix("Raw").map_or(name.clone(), str::to_owned);
                    definitions.extend(old.into_iter().map(|(name, value)| (plain(name), value)));
                }
                fields.values_mut().for_each(drop_raw);
            }
            _ => {}
        }
    }
}
