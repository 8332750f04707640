//! A room of `broker/src` imports only rooms above it.

use super::sources::{self, Source};

/// From the top: a room may use those before it. Rooms in one entry are neighbours and do not know each other.
const FLOORS: &[&[&str]] = &[
    &["domain"],
    &["metrics"],
    &["crash"],
    &["config"],
    &["trace"],
    &["net"],
    &["storage"],
    &["keys"],
    &["relay"],
    &["identity"],
    &["policy"],
    &["audit"],
    &["vault"],
    &["provider"],
    &["connection"],
    &["consent"],
    &["usecase"],
    &["transport", "worker"],
    &["app"],
    &["lifecycle"],
    &["cli"],
];

/// Roots that name every room.
const OUTSIDE: &[&str] = &["lib", "main"];

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

fn room(path: &str) -> &str {
    let inside = path.strip_prefix("broker/src/").unwrap_or(path);
    inside.split('/').next().unwrap_or(inside).trim_end_matches(".rs")
}

/// The rooms a piece of code names: `crate::room…` and the members of `crate::{a, b::c}`.
fn imports(code: &str) -> Vec<String> {
    let after = code.match_indices("crate::").map(|(at, found)| &code[at + found.len()..]);
    after.flat_map(|rest| rest.strip_prefix('{').map_or_else(|| vec![name(rest)], group)).collect()
}

fn group(inside: &str) -> Vec<String> {
    let (mut depth, mut start, mut members) = (0, 0, Vec::new());
    for (at, character) in inside.char_indices() {
        match character {
            '{' => depth += 1,
            '}' | ',' if depth == 0 => {
                members.push(name(inside[start..at].trim()));
                start = at + 1;
                if character == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    members.retain(|member| !member.is_empty());
    members
}

fn name(path: &str) -> String {
    path.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

/// What is wrong with the imports of one file.
fn faults(source: &Source) -> Vec<String> {
    let here = room(&source.path);
    if source.is_test() || OUTSIDE.contains(&here) {
        return Vec::new();
    }
    let Some(own) = floor(here) else {
        return vec![format!("{}: {here} is no room of the house", source.path)];
    };
    let code: Vec<&str> = source.code().map(|(_, line)| line).collect();
    let named = imports(&code.join("\n"));
    let wrong = named.iter().filter(|other| *other != here && floor(other).is_some_and(|f| f >= own));
    wrong.map(|other| format!("{}: {here} must not use {other}", source.path)).collect()
}

#[test]
fn every_room_imports_only_rooms_above_it() {
    let faults: Vec<String> = sources::rust("broker/src").iter().flat_map(faults).collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn a_wrong_import_is_found_in_every_form() {
    let cases = [
        ("policy/mod.rs", "use crate::identity::Verified;\nuse crate::domain;", 0),
        ("policy/mod.rs", "use crate::vault::Vault;", 1),
        ("policy/mod.rs", "use crate::{\n    domain::{Id, Scope},\n    audit,\n};", 1),
        ("policy/mod.rs", "fn f(x: crate::audit::Audit, y: crate::vault::Vault) {}", 2),
        ("policy/mod.rs", "pub(crate) use crate::policy::verdict::V;", 0),
        ("worker/purge.rs", "use crate::transport::grpc;", 1),
        ("transport/grpc/mod.rs", "use crate::worker;", 1),
        ("keys/mod.rs", "/// See crate::vault.\nmod tests {\n    use crate::vault::Vault;\n}", 0),
        ("keys/tests.rs", "use crate::vault::Vault;", 0),
        ("app.rs", "use crate::{transport, worker};", 0),
        ("attic/mod.rs", "", 1),
    ];
    for (path, text, wrong) in cases {
        let found = faults(&Source { path: format!("broker/src/{path}"), text: text.into() });
        assert_eq!(found.len(), wrong, "{path}: {text}: {found:?}");
    }
}
