//! Nothing the broker writes holds a secret: not its database, logs, statuses, pages or command line.

mod evidence;
mod job;
mod link;
mod several;
mod sweep;

use std::path::{Path, PathBuf};

/// Every file of the broker's directory and of those in it, its spool's too.
fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).expect("the directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.flat_map(|path| if path.is_dir() { files_below(&path) } else { vec![path] }).collect()
}
