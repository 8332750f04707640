//! The recorder: compiled when it is needed, preloaded into a broker.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::record::{self, Record};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/power/recorder.c");

/// A compiled recorder, where its record goes, and a disk that is full on demand.
pub struct Recorder {
    directory: TempDir,
    root: PathBuf,
}

impl Recorder {
    /// For what happens below `root`.
    ///
    /// # Panics
    /// When the C compiler is missing or refuses.
    pub fn of(root: &Path) -> Recorder {
        let directory = tempfile::Builder::new().prefix("power-").tempdir().expect("a directory");
        let library = directory.path().join("recorder.so");
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&library).arg(SOURCE).arg("-ldl");
        let done = compiler.output().expect("a C compiler: run `tests/run setup`");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let root = root.canonicalize().expect("it is there");
        Recorder { directory, root }
    }

    /// What a process needs in its environment.
    pub fn environment(&self) -> [(&'static str, PathBuf); 4] {
        let file = |name| self.directory.path().join(name);
        [
            ("LD_PRELOAD", file("recorder.so")),
            ("POWER_ROOT", self.root.clone()),
            ("POWER_LOG", file("record")),
            ("POWER_FULL", file("full")),
        ]
    }

    /// From now on whatever would make a file longer fails, or no longer does.
    pub fn disk_is_full(&self, full: bool) {
        let flag = self.directory.path().join("full");
        if full { fs::write(flag, "") } else { fs::remove_file(flag) }.expect("the flag");
    }

    /// Everything so far.
    ///
    /// # Panics
    /// When something happened that the recorder cannot record.
    pub fn records(&self) -> Vec<Record> {
        let bytes = fs::read(self.directory.path().join("record")).expect("a record");
        record::read(&bytes, &self.root)
    }
}
