//! What a kubelet does with the volumes of a pod: files from Secrets, ConfigMaps and projected tokens, where the container sees them.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::rendered::{Rendered, list};

/// Secrets and ConfigMaps that are there already, by `secret/name` or `configmap/name`: key to text.
#[derive(Default)]
pub struct Cluster {
    existing: BTreeMap<String, BTreeMap<String, String>>,
    /// The token projected for the pod's service account.
    token: String,
}

impl Cluster {
    /// With this token projected for the pod's service account.
    pub fn with_token(token: &str) -> Cluster {
        Cluster { existing: BTreeMap::new(), token: token.to_owned() }
    }

    /// Puts a key into a Secret.
    pub fn secret(&mut self, name: &str, key: &str, text: &str) {
        self.existing.entry(format!("secret/{name}")).or_default().insert(key.to_owned(), text.to_owned());
    }

    /// Puts a key into a ConfigMap that is not the chart's.
    pub fn config_map(&mut self, name: &str, key: &str, text: &str) {
        self.existing.entry(format!("configmap/{name}")).or_default().insert(key.to_owned(), text.to_owned());
    }

    fn data(&self, rendered: &Rendered, kind: &str, name: &str) -> BTreeMap<String, String> {
        if let Some(found) = self.existing.get(&format!("{kind}/{name}")) {
            return found.clone();
        }
        assert_eq!(kind, "configmap", "there is no Secret {name}: a pod would wait for ever");
        let data = rendered.object("ConfigMap", name)["data"].as_object().expect("keys");
        data.iter().map(|(key, text)| (key.clone(), text.as_str().expect("text").to_owned())).collect()
    }

    /// The files of one source: a Secret, a ConfigMap or a token.
    fn files(&self, rendered: &Rendered, source: &Value) -> Vec<(String, String)> {
        if let Some(token) = source.get("serviceAccountToken") {
            return vec![(token["path"].as_str().expect("a path").to_owned(), self.token.clone())];
        }
        let (kind, body) = match (source.get("secret"), source.get("configMap")) {
            (Some(secret), _) => ("secret", secret),
            (_, Some(map)) => ("configmap", map),
            _ => return Vec::new(),
        };
        let name = body.get("secretName").or(body.get("name")).and_then(Value::as_str).expect("a name");
        let data = self.data(rendered, kind, name);
        let items = list(body, "/items");
        if items.is_empty() {
            return data.into_iter().collect();
        }
        let text = |item: &Value, key: &str| item[key].as_str().expect("text").to_owned();
        let pick = |item: &&Value| {
            let key = text(item, "key");
            let found = data.get(&key).unwrap_or_else(|| panic!("{kind} {name} has no {key}"));
            (text(item, "path"), found.clone())
        };
        items.iter().map(pick).collect()
    }
}

/// A directory of the container, and whether it may be written to.
#[derive(Clone, Debug)]
pub struct Mount {
    pub path: String,
    pub read_only: bool,
}

/// Lays out the volumes of a pod below `root`, as its first container sees them; `group` may read what is secret. Answers the mounts.
pub fn mount(root: &Path, rendered: &Rendered, pod: &Value, cluster: &Cluster) -> Vec<Mount> {
    let volumes: BTreeMap<&str, &Value> = list(pod, "/volumes")
        .into_iter()
        .map(|volume| (volume["name"].as_str().expect("a name"), volume))
        .collect();
    let mut unused = volumes.clone();
    let mut mounts = Vec::new();
    for mount in list(pod, "/containers/0/volumeMounts") {
        let name = mount["name"].as_str().expect("a name");
        let volume = volumes.get(name).unwrap_or_else(|| panic!("there is no volume {name}"));
        unused.remove(name);
        let path = mount["mountPath"].as_str().expect("a path");
        let directory = root.join(path.trim_start_matches('/'));
        fs::create_dir_all(&directory).expect("made");
        let sources = list(volume, "/projected/sources");
        let sources = if sources.is_empty() { vec![*volume] } else { sources };
        for (file, text) in sources.iter().flat_map(|source| cluster.files(rendered, source)) {
            put(&directory.join(file), &text, mode(volume));
        }
        mounts.push(Mount { path: path.to_owned(), read_only: mount["readOnly"] == true });
    }
    assert!(unused.is_empty(), "volumes that nobody mounts: {:?}", unused.keys());
    mounts
}

/// The volume's mode. Without one the kubelet takes 0644.
fn mode(volume: &Value) -> u32 {
    let bodies = ["secret", "projected", "configMap"].map(|kind| &volume[kind]["defaultMode"]);
    bodies.into_iter().find_map(Value::as_u64).map_or(0o644, |mode| u32::try_from(mode).expect("a mode"))
}

fn put(file: &PathBuf, text: &str, mode: u32) {
    fs::write(file, text).expect("written");
    fs::set_permissions(file, Permissions::from_mode(mode)).expect("permitted");
}
