//! One change of the configuration file, on its way in.

use super::super::replace;
use crate::{
    config::{Config, Problem, edit::EditError},
    domain::{Clock, SystemClock},
};
use std::{error::Error, path::Path};

/// Reads the file, changes it, and writes it if the change brings no new problem. Answers the name of the copy kept.
pub(super) fn change(
    path: &Path,
    keep_copy: bool,
    edit: impl FnOnce(&str) -> Result<String, EditError>,
) -> Result<Option<String>, Box<dyn Error>> {
    let before = std::fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let after = edit(&before)?;
    let known = problems(&before, path);
    let new: Vec<String> =
        problems(&after, path).iter().filter(|one| !known.contains(one)).map(ToString::to_string).collect();
    if !new.is_empty() {
        return Err(format!("nothing was written, because of:\n{}", new.join("\n")).into());
    }
    let copy = match keep_copy {
        true => Some(replace::keep(path, SystemClock::default().now())?.display().to_string()),
        false => None,
    };
    replace::replace(path, &before, &after)?;
    Ok(copy)
}

fn problems(text: &str, path: &Path) -> Vec<Problem> {
    let base = path.parent().map_or_else(Default::default, Path::to_owned);
    match Config::parse(text, &base, &|name| std::env::var(name).ok()) {
        Ok(_) => Vec::new(),
        Err(found) => found.problems,
    }
}

/// What holds for every change: who learns of it and when.
pub(super) const TAKES_EFFECT: &str = "A running broker reads its configuration when it starts: restart it.";
