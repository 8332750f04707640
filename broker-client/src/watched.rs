//! Files that are replaced while we run: projected tokens, certificates, keys.

use crate::Error;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;
use zeroize::Zeroizing;

/// Files are looked at again when at least this much time has passed.
pub(crate) const REREAD_EVERY: Duration = Duration::from_secs(1);

/// Reads a whole file of at most `limit` bytes; empty is an error.
pub(crate) async fn read_bounded(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, Error> {
    let path: PathBuf = path.to_owned();
    let read = tokio::task::spawn_blocking(move || read_blocking(&path, limit));
    read.await.unwrap_or_else(|_| Err(Error::configuration("reading a file was interrupted")))
}

fn read_blocking(path: &Path, limit: usize) -> Result<Zeroizing<Vec<u8>>, Error> {
    let refuse = |what: &str| Error::configuration(format!("{}: {what}", path.display()));
    let file = std::fs::File::open(path).map_err(|error| refuse(&error.kind().to_string()))?;
    // One buffer of its final size: growing would leave unwiped copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(limit + 1));
    let wanted = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(wanted).read_to_end(&mut bytes).map_err(|error| refuse(&error.kind().to_string()))?;
    match bytes.len() {
        0 => Err(refuse("is empty")),
        length if length > limit => Err(refuse(&format!("is larger than {limit} bytes"))),
        _ => Ok(bytes),
    }
}
