//! The spool's files. Everything here blocks.
//!
//! A process has a directory of its own inside the configured one, and holds a lock in it as long as it lives. `NAME.room` is room that
//! was taken, `NAME.entry` an entry: written to the room, synced, renamed, and the directory synced after it.

use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

/// Bytes that are taken for one entry: more than two tokens of 16 KiB and their scopes come to.
const ROOM: usize = 96 * 1024;
const LOCK: &str = "lock";

/// Why nothing can be kept.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// As many entries, or bytes, as are allowed.
    #[error("the spool is full")]
    Full,
    /// More than there is room for.
    #[error("an entry does not fit into its room")]
    TooBig,
    /// The directory or a file in it.
    #[error("the spool: {0}")]
    Io(#[from] io::Error),
}

impl SpoolError {
    pub(super) fn task(error: tokio::task::JoinError) -> Self {
        Self::Io(io::Error::other(error))
    }
}

/// This process's directory.
#[derive(Clone)]
pub(super) struct Directory(Arc<Own>);

struct Own {
    /// The configured one, with those of all processes.
    all: PathBuf,
    path: PathBuf,
    most: (u32, u64),
    /// Held as long as this lives.
    _lock: File,
}

impl Directory {
    /// Makes this process's own directory under a name that nobody has.
    pub(super) fn open(all: &Path, name: &str, most: (u32, u64)) -> Result<Self, SpoolError> {
        DirBuilder::new().recursive(true).mode(0o700).create(all)?;
        // Locked before it gets its name, so that nobody takes it for one that was left.
        let (making, path) = (all.join(format!(".{name}")), all.join(name));
        DirBuilder::new().mode(0o700).create(&making)?;
        let lock = new_file(&making.join(LOCK))?;
        lock.lock()?;
        fs::rename(&making, &path)?;
        sync(all)?;
        Ok(Self(Arc::new(Own { all: all.to_owned(), path, most, _lock: lock })))
    }

    /// Takes room for one entry. A full disk is found here, and not when there is something to write.
    pub(super) fn reserve(&self, name: &str) -> Result<(), SpoolError> {
        let (mut entries, mut bytes) = (0_u64, 0_u64);
        for found in fs::read_dir(&self.0.path)? {
            entries += 1;
            // One that goes in this moment takes no room.
            bytes += found?.metadata().map_or(0, |metadata| metadata.len());
        }
        let (most_entries, most_bytes) = self.0.most;
        // The lock is there too.
        if entries > u64::from(most_entries) || bytes + ROOM as u64 > most_bytes {
            return Err(SpoolError::Full);
        }
        let path = self.file(name, "room");
        let room = new_file(&path).and_then(|mut file| file.write_all(&[0; ROOM]));
        if let Err(error) = room {
            fs::remove_file(&path).ok();
            return Err(error.into());
        }
        Ok(())
    }

    /// Room that is not needed.
    pub(super) fn give_back(&self, name: &str) {
        fs::remove_file(self.file(name, "room")).ok();
    }

    /// Writes an entry into its room; on disk when this returns.
    pub(super) fn keep(&self, name: &str, sealed: &[u8]) -> Result<(), SpoolError> {
        if sealed.len() > ROOM {
            return Err(SpoolError::TooBig);
        }
        let (room, entry) = (self.file(name, "room"), self.file(name, "entry"));
        // What was kept before stays until the new one is whole.
        let mut file = match OpenOptions::new().write(true).open(&room) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => new_file(&room)?,
            opened => opened?,
        };
        file.write_all(sealed)?;
        file.set_len(sealed.len() as u64)?;
        file.sync_all()?;
        fs::rename(&room, &entry)?;
        sync(&self.0.path)?;
        Ok(())
    }

    /// Removes an entry.
    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        match fs::remove_file(self.file(name, "entry")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => {
                self.give_back(name);
                Ok(())
            }
        }
    }

    /// Every entry's name and bytes, oldest first. Those of processes that are gone are taken over first.
    pub(super) fn entries(&self) -> Result<Vec<(String, Vec<u8>)>, SpoolError> {
        self.take_over()?;
        let mut found = Vec::new();
        for file in self.names()? {
            let path = self.file(&file, "entry");
            let age = path.metadata().and_then(|metadata| metadata.modified());
            match fs::read(&path) {
                Ok(bytes) => found.push((age.ok(), file, bytes)),
                // Stored at this moment.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error.into()),
            }
        }
        found.sort();
        Ok(found.into_iter().map(|(_, name, bytes)| (name, bytes)).collect())
    }

    /// How many entries there are.
    pub(super) fn count(&self) -> Result<usize, SpoolError> {
        Ok(self.names()?.len())
    }

    fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for found in fs::read_dir(&self.0.path)? {
            let name = found?.file_name();
            names.extend(name.to_str().and_then(|name| name.strip_suffix(".entry")).map(str::to_owned));
        }
        Ok(names)
    }

    /// Entries of processes that are gone: their locks are free.
    fn take_over(&self) -> Result<(), SpoolError> {
        for found in fs::read_dir(&self.0.all)? {
            let left = found?.path();
            let hidden = left.file_name().is_none_or(|name| name.as_encoded_bytes().starts_with(b"."));
            if left == self.0.path || hidden || !left.is_dir() {
                continue;
            }
            // For writing: where a network file system keeps locks for all machines, others cannot be taken whole.
            let lock = match OpenOptions::new().read(true).write(true).open(left.join(LOCK)) {
                Ok(lock) => lock,
                // Somebody else took it over at this moment.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error.into()),
            };
            match lock.try_lock() {
                Ok(()) => self.take(&left)?,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// The lock goes last: whoever is interrupted leaves something that is taken over again.
    fn take(&self, left: &Path) -> Result<(), SpoolError> {
        let files = match fs::read_dir(left) {
            Ok(files) => files,
            // Whoever had the lock before was done with it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for found in files {
            let path = found?.path();
            let Some(name) = path.file_name().filter(|name| *name != LOCK) else { continue };
            if path.extension().is_some_and(|end| end == "entry") {
                fs::rename(&path, self.0.path.join(name))?;
            } else {
                // Room that was taken and never written.
                fs::remove_file(&path)?;
            }
        }
        sync(&self.0.path)?;
        fs::remove_file(left.join(LOCK))?;
        fs::remove_dir(left)?;
        sync(&self.0.all)?;
        Ok(())
    }

    fn file(&self, name: &str, end: &str) -> PathBuf {
        self.0.path.join(format!("{name}.{end}"))
    }
}

fn new_file(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// A directory's entries, on disk.
fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
