//! A rendered release, as those read it who check it: objects by kind and name, the broker's configuration, its files.

use std::path::Path;

use serde_json::Value;

/// What a release consists of.
#[derive(Clone)]
pub struct Rendered(pub Vec<Value>);

impl Rendered {
    /// The one object of this kind and name.
    pub fn object(&self, kind: &str, name: &str) -> &Value {
        let wanted = |object: &&Value| object["kind"] == kind && object["metadata"]["name"] == name;
        let found: Vec<&Value> = self.0.iter().filter(wanted).collect();
        assert_eq!(found.len(), 1, "{kind} {name}");
        found[0]
    }

    pub fn has(&self, kind: &str) -> bool {
        self.0.iter().any(|object| object["kind"] == kind)
    }

    pub fn deployment(&self) -> &Value {
        self.object("Deployment", "token-broker")
    }

    /// The pod of the replicas.
    pub fn pod(&self) -> &Value {
        &self.deployment()["spec"]["template"]["spec"]
    }

    /// The broker's container.
    pub fn container(&self) -> &Value {
        &self.pod()["containers"][0]
    }

    /// The text of a ConfigMap's key.
    pub fn file(&self, config_map: &str, key: &str) -> &str {
        self.object("ConfigMap", config_map)["data"][key].as_str().expect("text")
    }

    /// The broker's configuration.
    pub fn config(&self) -> &str {
        self.file("token-broker-config", "broker.yaml")
    }
}

/// Writes a file below `directory`, with the directories on its way.
pub fn write(directory: &Path, path: &str, text: &str) {
    let file = directory.join(path.trim_start_matches('/'));
    std::fs::create_dir_all(file.parent().expect("a directory")).expect("made");
    std::fs::write(file, text).expect("written");
}

/// Every list below a path of keys, empty where there is none.
pub fn list<'a>(value: &'a Value, pointer: &str) -> Vec<&'a Value> {
    value.pointer(pointer).and_then(Value::as_array).into_iter().flatten().collect()
}
