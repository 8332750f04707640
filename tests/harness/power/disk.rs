//! A disk and the cache before it: what is certain, and what may or may not be there.

use std::collections::BTreeMap;
use std::path::Path;

use super::record::{Kind, Record};
use crate::dice::Dice;

/// A disk writes no less than this at once, and may stop after any of them.
const SECTOR: usize = 512;

/// Files by name, as they are after the cut.
pub type Files = BTreeMap<String, Vec<u8>>;

/// What the cache had written of what was not synced, when the power went.
#[derive(Clone, Copy)]
pub enum Left<'a> {
    /// Nothing.
    Synced,
    /// All of it, as after `kill -9`.
    Everything,
    /// Some sectors of some writes, and names up to some change: whatever the dice say.
    Some(&'a Dice),
}

/// The state after some records.
#[derive(Clone, Default)]
pub struct Disk {
    files: Vec<Content>,
    /// As processes see them.
    names: BTreeMap<String, usize>,
    certain_names: BTreeMap<String, usize>,
    /// Not certain yet, in order: a file system keeps the order of its own changes.
    changed_names: Vec<Naming>,
}

#[derive(Clone, Default)]
struct Content {
    certain: Vec<u8>,
    changes: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write { offset: usize, data: Vec<u8> },
    Truncate(usize),
}

#[derive(Clone)]
struct Naming {
    /// The directory it is in.
    within: String,
    removed: Option<String>,
    added: Option<(String, usize)>,
}

impl Disk {
    /// A disk that has held these for long.
    pub fn with(files: Files) -> Disk {
        let mut disk = Disk::default();
        for (name, certain) in files {
            disk.names.insert(name.clone(), disk.files.len());
            disk.certain_names.insert(name, disk.files.len());
            disk.files.push(Content { certain, changes: Vec::new() });
        }
        disk
    }

    /// What a directory and those in it hold now.
    pub fn of(directory: &Path) -> Disk {
        let mut files = Files::new();
        collect(directory, "", &mut files);
        Disk::with(files)
    }

    /// One thing more was done.
    pub fn apply(&mut self, record: &Record) {
        match record.kind {
            Kind::Create => {
                self.files.push(Content::default());
                let file = self.files.len() - 1;
                self.name(&record.name, None, Some(file));
            }
            Kind::Write => {
                let change = Change::Write { offset: record.offset, data: record.data.clone() };
                self.file(&record.name).changes.push(change);
            }
            Kind::Truncate => self.file(&record.name).changes.push(Change::Truncate(record.offset)),
            Kind::Sync => self.file(&record.name).sync(),
            Kind::Rename => {
                if let Some(file) = self.names.remove(&record.name) {
                    self.name(&record.other, Some(record.name.clone()), Some(file));
                } else {
                    self.rename_directory(&record.name, &record.other);
                }
            }
            Kind::Unlink => self.name(&record.name, Some(record.name.clone()), None),
            Kind::SyncDirectory => self.sync_directory(&record.name),
        }
    }

    fn file(&mut self, name: &str) -> &mut Content {
        let file = *self.names.get(name).unwrap_or_else(|| panic!("nobody made {name}"));
        &mut self.files[file]
    }

    fn name(&mut self, name: &str, removed: Option<String>, file: Option<usize>) {
        match file {
            Some(file) => drop(self.names.insert(name.to_owned(), file)),
            None => drop(self.names.remove(name)),
        }
        let within = name.rsplit_once('/').map_or("", |(directory, _)| directory).to_owned();
        self.changed_names.push(Naming { within, removed, added: file.map(|file| (name.to_owned(), file)) });
    }

    /// What is in it goes along; both names are in the directory above, whose sync makes it certain.
    fn rename_directory(&mut self, from: &str, to: &str) {
        let within = to.rsplit_once('/').map_or("", |(directory, _)| directory);
        let below = format!("{from}/");
        let inside: Vec<String> =
            self.names.keys().filter(|name| name.starts_with(&below)).cloned().collect();
        for old in inside {
            let file = self.names.remove(&old).expect("it was just there");
            let new = format!("{to}/{}", &old[below.len()..]);
            self.names.insert(new.clone(), file);
            // One whose own name is not certain yet becomes so with the directory it is in, whatever that is called.
            if self.certain_names.contains_key(&old) {
                let added = Some((new, file));
                self.changed_names.push(Naming { within: within.to_owned(), removed: Some(old), added });
            }
        }
        for change in &mut self.changed_names {
            if change.within == from {
                change.within = to.to_owned();
                let renamed = |name: &String| format!("{to}/{}", &name[below.len()..]);
                change.removed = change.removed.as_ref().map(renamed);
                change.added = change.added.as_ref().map(|(name, file)| (renamed(name), *file));
            }
        }
    }

    fn sync_directory(&mut self, directory: &str) {
        let (certain, other) =
            self.changed_names.drain(..).partition(|change: &Naming| change.within == directory);
        self.changed_names = other;
        let certain: Vec<Naming> = certain;
        certain.iter().for_each(|change| change.apply(&mut self.certain_names));
    }

    /// What is found when the power is back.
    pub fn after_a_cut(&self, left: Left<'_>) -> Files {
        let mut names = self.certain_names.clone();
        let kept = match left {
            Left::Synced => 0,
            Left::Everything => self.changed_names.len(),
            Left::Some(dice) => dice.below(self.changed_names.len() + 1),
        };
        self.changed_names.iter().take(kept).for_each(|change| change.apply(&mut names));
        names.into_iter().map(|(name, file)| (name, self.files[file].left(left))).collect()
    }

    /// Whether anything is not certain.
    pub fn is_certain(&self) -> bool {
        self.changed_names.is_empty() && self.files.iter().all(|file| file.changes.is_empty())
    }
}

fn collect(directory: &Path, within: &str, files: &mut Files) {
    for entry in std::fs::read_dir(directory).expect("a directory") {
        let entry = entry.expect("an entry");
        let name = format!("{within}{}", entry.file_name().to_str().expect("a name in UTF-8"));
        match entry.file_type().expect("its type") {
            kind if kind.is_dir() => collect(&entry.path(), &format!("{name}/"), files),
            kind if kind.is_file() => drop(files.insert(name, std::fs::read(entry.path()).expect("a file"))),
            // Sockets and links hold nothing of their own.
            _ => {}
        }
    }
}

impl Naming {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        if let Some(removed) = &self.removed {
            names.remove(removed);
        }
        if let Some((name, file)) = &self.added {
            names.insert(name.clone(), *file);
        }
    }
}

impl Content {
    fn sync(&mut self) {
        for change in self.changes.drain(..) {
            change.apply(&mut self.certain, |_| true);
        }
    }

    fn left(&self, left: Left<'_>) -> Vec<u8> {
        let mut bytes = self.certain.clone();
        for change in &self.changes {
            change.apply(&mut bytes, |_| match left {
                Left::Synced => false,
                Left::Everything => true,
                Left::Some(dice) => dice.one_in(2),
            });
        }
        bytes
    }
}

impl Change {
    /// Sector by sector, as far as `kept` says; called once for each.
    fn apply(&self, bytes: &mut Vec<u8>, kept: impl Fn(usize) -> bool) {
        match self {
            Change::Truncate(length) if kept(*length) => bytes.resize(*length, 0),
            Change::Truncate(_) => {}
            Change::Write { offset, data } => {
                let mut from = 0;
                while from < data.len() {
                    let to = (((offset + from) / SECTOR + 1) * SECTOR - offset).min(data.len());
                    if kept(from) {
                        bytes.resize(bytes.len().max(offset + to), 0);
                        bytes[offset + from..offset + to].copy_from_slice(&data[from..to]);
                    }
                    from = to;
                }
            }
        }
    }
}
