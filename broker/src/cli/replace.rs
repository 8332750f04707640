//! Writing files so that nothing is lost: new ones for the owner alone, old ones replaced at once and kept beside.

use crate::domain::Timestamp;
use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Writes a new file with mode 0600. One that could not be written in full is removed.
///
/// # Errors
/// Also when there is a file already.
pub(super) fn write_new(path: &Path, text: &str) -> io::Result<()> {
    create(path, |file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
}

fn create(path: &Path, fill: impl FnOnce(&mut File) -> io::Result<()>) -> io::Result<()> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(named)?;
    // The mode above passes through the umask; this one does not.
    let written = file.set_permissions(Permissions::from_mode(0o600)).and_then(|()| fill(&mut file));
    written.map_err(|error| {
        // Half a file would be in the way of the next attempt; that it could not be written is what is told.
        let _ = fs::remove_file(path);
        named(error)
    })
}

/// A file written in full under another name, which takes the place of `path` at once. Dropped before: it goes away.
pub(super) struct Prepared {
    path: PathBuf,
    draft: PathBuf,
    done: bool,
}

impl Prepared {
    /// Writes the draft beside `path`; mode and owner are those of the file it will replace, else 0600 and our own.
    pub(super) fn write(path: &Path, text: &str) -> io::Result<Self> {
        let prepared = Self::secret(path, text)?;
        if let Ok(old) = prepared.path.metadata() {
            let new = prepared.draft.metadata()?;
            // Whoever reads the old file must be able to read the new one, also when root wrote it.
            if (old.uid(), old.gid()) != (new.uid(), new.gid()) {
                std::os::unix::fs::chown(&prepared.draft, Some(old.uid()), Some(old.gid()))?;
            }
            fs::set_permissions(&prepared.draft, old.permissions())?;
        }
        Ok(prepared)
    }

    /// Writes the draft beside `path`; mode 0600 and our own, whatever the file it will replace has.
    ///
    /// # Errors
    /// Also when what it would replace is no regular file, such as `/dev/null`.
    pub(super) fn secret(path: &Path, text: &str) -> io::Result<Self> {
        // A link, such as a mounted configuration has, is followed: what it names is replaced, not the link.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let mut name =
            path.file_name().ok_or_else(|| io::Error::other("is not the name of a file"))?.to_owned();
        name.push(".new");
        if path.metadata().is_ok_and(|old| !old.is_file()) {
            return Err(io::Error::other(format!("{} is not a regular file", path.display())));
        }
        let draft = path.with_file_name(name);
        write_new(&draft, text)?;
        Ok(Self { path, draft, done: false })
    }

    /// Takes the place of the file.
    pub(super) fn take_place(mut self) -> io::Result<()> {
        fs::rename(&self.draft, &self.path)?;
        self.done = true;
        // The rename itself lasts once the directory is written.
        let directory = self.path.parent().filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
    }
}

impl Drop for Prepared {
    fn drop(&mut self) {
        if !self.done {
            // A draft left behind is found by the next attempt, which refuses to write over it.
            let _ = fs::remove_file(&self.draft);
        }
    }
}

/// Keeps a copy of `path` beside it, named by the time; answers its name.
pub(super) fn keep(path: &Path, now: Timestamp) -> io::Result<PathBuf> {
    let stamp: String = now.rfc3339().chars().filter(char::is_ascii_alphanumeric).collect();
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{stamp}.bak"));
    let copy = path.with_file_name(name);
    write_new(&copy, &fs::read_to_string(path)?)?;
    Ok(copy)
}

/// Replaces the text `before` of `path` by `after`, unless somebody else changed the file meanwhile.
pub(super) fn replace(path: &Path, before: &str, after: &str) -> io::Result<()> {
    let prepared = Prepared::write(path, after)?;
    if fs::read_to_string(path)? != before {
        return Err(io::Error::other(format!(
            "{} was changed meanwhile; nothing was written",
            path.display()
        )));
    }
    prepared.take_place()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn mode(path: &Path) -> u32 {
        path.metadata().unwrap().permissions().mode() & 0o777
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_file_is_replaced_behind_its_link_with_its_mode_and_nothing_else_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let (real, link) = (directory.path().join("real.yaml"), directory.path().join("link.yaml"));
        fs::write(&real, "before").unwrap();
        fs::set_permissions(&real, Permissions::from_mode(0o640)).unwrap();
        symlink("real.yaml", &link).unwrap();
        replace(&link, "before", "after").unwrap();
        assert!(link.symlink_metadata().unwrap().is_symlink());
        assert_eq!((fs::read_to_string(&real).unwrap().as_str(), mode(&real)), ("after", 0o640));
        assert_eq!(names(directory.path()), ["link.yaml", "real.yaml"]);
    }

    #[test]
    fn a_file_that_cannot_be_written_in_full_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.yaml.new");
        let full = |file: &mut File| file.write_all(b"half").and(Err(io::ErrorKind::StorageFull.into()));
        let told = create(&path, full).unwrap_err();
        assert_eq!((told.kind(), names(directory.path()).len()), (io::ErrorKind::StorageFull, 0), "{told}");
        write_new(&path, "whole").unwrap();
        // Another's file is not the one that was begun here.
        assert!(write_new(&path, "x").is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
    }

    #[test]
    fn a_secret_is_for_the_owner_alone_whatever_was_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        fs::write(&path, "before").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        Prepared::secret(&path, "after").unwrap().take_place().unwrap();
        assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode(&path)), ("after", 0o600));
        for special in [Path::new("/dev/null"), directory.path()] {
            let refused = Prepared::secret(special, "x").err().unwrap();
            assert!(refused.to_string().contains("is not a regular file"), "{refused}");
        }
    }

    #[test]
    fn what_somebody_else_changed_meanwhile_is_not_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.yaml");
        fs::write(&path, "theirs").unwrap();
        let refused = replace(&path, "before", "after").unwrap_err();
        assert!(refused.to_string().contains("changed meanwhile"), "{refused}");
        assert_eq!(
            (fs::read_to_string(&path).unwrap().as_str(), names(directory.path())),
            ("theirs", vec!["a.yaml".to_owned()])
        );
    }

    #[test]
    fn a_copy_is_for_the_owner_alone_and_never_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.yaml");
        fs::write(&path, "before").unwrap();
        let now = Timestamp::from_unix_seconds(1_790_000_000);
        let copy = keep(&path, now).unwrap();
        assert_eq!((fs::read_to_string(&copy).unwrap().as_str(), mode(&copy)), ("before", 0o600));
        assert!(keep(&path, now).is_err());
        assert!(write_new(&path, "x").unwrap_err().to_string().contains("a.yaml"));
    }
}
