//! The workload's own credential, shown on every call.

use crate::watched::{REREAD_EVERY, read_bounded};
use crate::{Clock, Error};
use std::fmt;
use std::path::PathBuf;
use std::sync::Mutex;
use std::time::Duration;
use tonic::metadata::{Ascii, MetadataValue};
use zeroize::Zeroizing;

/// Largest credential file, in bytes.
const LIMIT: usize = 16 * 1024;

/// Who your server is: what goes into the `authorization` metadata of each call.
pub struct Credential(Source);

enum Source {
    None,
    Static(Result<Bearer, Error>),
    File { path: PathBuf, last: Mutex<Option<Read>> },
}

#[derive(Clone)]
struct Bearer(MetadataValue<Ascii>);

struct Read {
    at: Duration,
    bearer: Bearer,
}

impl Credential {
    /// A secret that stays the same, as the operator gave it to this workload.
    pub fn secret(secret: impl Into<String>) -> Self {
        Self(Source::Static(Bearer::new(&Zeroizing::new(secret.into()), "the secret")))
    }

    /// A file that is replaced from time to time, such as a projected Kubernetes service-account token. It is read again when
    /// a call is made and a second has passed since the last reading; at most 16 KiB, surrounding white space is dropped.
    /// Unreadable at the start is an error. Unreadable later, the last good content is used, with a warning in the log: the
    /// broker decides for how long it is valid.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self(Source::File { path: path.into(), last: Mutex::new(None) })
    }

    /// No metadata at all: the mTLS client certificate speaks for the workload (see [`Tls`](crate::Tls)).
    pub fn client_certificate() -> Self {
        Self(Source::None)
    }

    /// The header value for a call made now.
    pub(crate) async fn current(&self, clock: &dyn Clock) -> Result<Option<MetadataValue<Ascii>>, Error> {
        match &self.0 {
            Source::None => Ok(None),
            Source::Static(bearer) => bearer.clone().map(|bearer| Some(bearer.0)),
            Source::File { path, last } => {
                let now = clock.monotonic();
                let known = lock(last).as_ref().map(|read| (read.at, read.bearer.clone()));
                match known {
                    Some((at, bearer)) if now.saturating_sub(at) < REREAD_EVERY => return Ok(Some(bearer.0)),
                    _ => {}
                }
                let bearer = match (Bearer::read(path).await, known) {
                    (Ok(bearer), _) => bearer,
                    (Err(error), None) => return Err(error),
                    (Err(error), Some((_, bearer))) => {
                        tracing::warn!(%error, "workload credential cannot be read again; using the last one");
                        bearer
                    }
                };
                *lock(last) = Some(Read { at: now, bearer: bearer.clone() });
                Ok(Some(bearer.0))
            }
        }
    }
}

impl Bearer {
    async fn read(path: &std::path::Path) -> Result<Self, Error> {
        let bytes = read_bounded(path, LIMIT).await?;
        let name = path.display().to_string();
        let text =
            std::str::from_utf8(&bytes).map_err(|_| Error::configuration(format!("{name}: is not text")))?;
        Self::new(text.trim_ascii(), &name)
    }

    fn new(secret: &str, name: &str) -> Result<Self, Error> {
        if secret.is_empty() || !secret.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(Error::configuration(format!(
                "{name}: a credential is visible ASCII without spaces"
            )));
        }
        let header = Zeroizing::new(format!("Bearer {secret}"));
        let mut value = MetadataValue::try_from(header.as_str())
            .map_err(|_| Error::configuration(format!("{name}: does not fit into a header")))?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

fn lock(last: &Mutex<Option<Read>>) -> std::sync::MutexGuard<'_, Option<Read>> {
    last.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Source::None => f.write_str("Credential::client_certificate"),
            Source::Static(_) => f.write_str("Credential::secret([redacted])"),
            Source::File { path, .. } => write!(f, "Credential::file({})", path.display()),
        }
    }
}
