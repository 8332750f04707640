use super::house::{CANARY, changed, full, load, path_of};
use serde_json::{Value, json};

/// Every place in the schema, as a pointer into a document, with the schema that stands there.
fn places(root: &Value, schema: &Value, at: &str, found: &mut Vec<(String, Value)>) {
    let schema = resolve(root, schema);
    if let Some(properties) = schema["properties"].as_object() {
        for (name, property) in properties {
            let here = format!("{at}/{name}");
            found.push((here.clone(), resolve(root, property)));
            places(root, property, &here, found);
        }
    }
    if schema["items"].is_object() {
        let here = format!("{at}/0");
        found.push((here.clone(), resolve(root, &schema["items"])));
        places(root, &schema["items"], &here, found);
    }
    if schema["additionalProperties"].is_object() {
        let here = format!("{at}/some_key");
        found.push((here.clone(), resolve(root, &schema["additionalProperties"])));
        places(root, &schema["additionalProperties"], &here, found);
    }
}

/// Follows references, and takes the one of several choices that is not null.
fn resolve(root: &Value, schema: &Value) -> Value {
    if let Some(reference) = schema["$ref"].as_str() {
        let pointer = reference.strip_prefix('#').expect("a reference within the schema");
        return resolve(root, root.pointer(pointer).expect(reference));
    }
    for choices in ["anyOf", "oneOf", "allOf"] {
        let one = schema[choices].as_array().and_then(|all| all.iter().find(|one| one["type"] != "null"));
        if let Some(one) = one {
            return resolve(root, one);
        }
    }
    schema.clone()
}

fn takes(schema: &Value, kind: &str) -> bool {
    match &schema["type"] {
        Value::String(one) => one == kind,
        Value::Array(several) => several.iter().any(|one| one == kind),
        _ => false,
    }
}

/// Values whose type cannot stand there.
fn wrong_types(schema: &Value) -> Vec<Value> {
    let candidates = [
        ("string", json!(CANARY)),
        ("array", json!([CANARY])),
        ("object", json!({CANARY: CANARY})),
        ("boolean", json!(true)),
        ("number", json!(4_711.5)),
    ];
    candidates.into_iter().filter(|(kind, _)| !takes(schema, kind)).map(|(_, value)| value).collect()
}

/// Proves: VA7
#[test]
fn va7_a_wrong_type_is_a_problem_at_exactly_its_path_for_every_property_of_the_schema() {
    load(&full().to_string()).expect("the document is sound");
    let schema: Value = serde_json::from_str(broker::config::SCHEMA).expect("JSON");
    let mut all = Vec::new();
    places(&schema, &schema, "", &mut all);
    assert!(all.len() > 100, "the schema is walked: {}", all.len());
    for (pointer, schema) in &all {
        let wrong = wrong_types(schema);
        assert!(wrong.len() >= 3, "{pointer}: {schema}");
        for value in wrong {
            let document = changed_list_aware(pointer, &value);
            let found = load(&document.to_string()).expect_err(pointer);
            let path = path_of(pointer);
            let named = found.problems.iter().any(|problem| problem.path == path);
            assert!(named, "{pointer} = {value}: {:#?}", found.problems);
            assert!(!format!("{found} {found:?}").contains(CANARY), "{pointer}: {found:?}");
        }
    }
}

/// Like [`changed`], where a list that is not in the document is made first.
fn changed_list_aware(pointer: &str, value: &Value) -> Value {
    match pointer.strip_suffix("/0") {
        Some(list) if full().pointer(list).is_none() => changed(list, Some(json!([value]))),
        _ => changed(pointer, Some(value.clone())),
    }
}

/// Proves: VA7
#[test]
fn va7_an_unknown_key_anywhere_is_named_and_one_with_a_value_in_it_is_not() {
    let schema: Value = serde_json::from_str(broker::config::SCHEMA).expect("JSON");
    let mut all = vec![(String::new(), schema.clone())];
    places(&schema, &schema, "", &mut all);
    let mappings = all.iter().filter(|(_, schema)| schema["additionalProperties"] == json!(false));
    let mut count = 0;
    for (pointer, _) in mappings {
        count += 1;
        for (key, shown) in
            [("no_such_key", "no_such_key"), ("c4n4ry secret", "(some key)"), ("C4N4RY", "(some key)")]
        {
            let found = load(&changed(&format!("{pointer}/{key}"), Some(json!(CANARY))).to_string())
                .expect_err(pointer);
            let path = path_of(&format!("{pointer}/{shown}"));
            let named =
                found.problems.iter().any(|one| one.path == path && one.message == "is not a known key");
            assert!(named, "{pointer}/{key}: {:#?}", found.problems);
            assert!(!format!("{found} {found:?}").to_lowercase().contains(CANARY), "{found:?}");
        }
    }
    assert!(count > 20, "every mapping refuses unknown keys: {count}");
}
