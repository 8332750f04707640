//! What a retry waits for, sealed while it is in the client's hands.

use crate::Error;
use crate::random::Random;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::hkdf::{HKDF_SHA256, Salt};
use std::fmt;
use std::time::{Duration, SystemTime};

/// Shortest secret, in bytes.
const SHORTEST_SECRET: usize = 32;
/// Longest state that is looked at, in bytes.
const LONGEST_STATE: usize = 4096;
/// Stands before every state; a new form gets a new one.
const VERSION: &str = "bs2.";
/// Stood before states of older forms. What they wait for starts anew: a server is upgraded while users are on their way.
const OLDER: &str = "bs1.";
/// Length of a key's name, in bytes. It stands in the clear before what is sealed.
const NAME: usize = 8;
/// What a key's name is derived for.
const NAMING: &[u8] = b"broker-client mcp request state key name 1";
/// Keeps this key apart from others made of the same secret.
const PURPOSE: &[u8] = b"broker-client mcp request state 1";

/// The key under which request states are sealed. All replicas of a server need the same.
pub struct StateKey {
    /// The first seals, all open.
    keys: Vec<Named>,
    random: Random,
}

struct Named {
    /// Derived from the secret, and of no help in finding it.
    name: [u8; NAME],
    key: LessSafeKey,
}

/// Which consents a retry waits for, and until when.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiting {
    pub(crate) consent_ids: Vec<String>,
    pub(crate) expire_time: SystemTime,
}

/// Why a state was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StateError {
    /// It was changed, or not made for this user and this call.
    Invalid,
    /// The links it waits for are over, its form is an older one, or the key it was sealed under is no longer (or not yet) known here.
    Expired,
}

impl StateKey {
    /// From a secret of at least 32 bytes, such as the content of a mounted secret.
    ///
    /// # Errors
    /// [`Error::Configuration`] for a secret that is shorter, or all alike.
    pub fn new(secret: &[u8]) -> Result<Self, Error> {
        Ok(Self { keys: vec![derive(secret)?], random: Random::default() })
    }

    /// A key that ends with this process: for servers with one replica. After a restart its clients get a fresh link.
    ///
    /// # Errors
    /// [`Error::Configuration`] when the system gives no randomness.
    pub fn random() -> Result<Self, Error> {
        Self::new(&Random::default().bytes::<SHORTEST_SECRET>()?)
    }

    /// Opens, beside its own, what this other secret sealed.
    ///
    /// Change the secret in three steps, each on all replicas before the next: first `new(old)?.or_previous(new)`, so that every
    /// replica opens what the new one seals; then `new(new)?.or_previous(old)`; and once the links made before are over, `new(new)`
    /// alone. Whoever skips a step costs some users a fresh link: a state under a secret that is not known here starts anew.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub fn or_previous(mut self, secret: &[u8]) -> Result<Self, Error> {
        self.keys.push(derive(secret)?);
        Ok(self)
    }

    pub(crate) fn seal(&self, waiting: &Waiting, binding: &[u8]) -> Result<String, Error> {
        let nonce: [u8; NONCE_LEN] = self.random.bytes()?;
        let mut sealed = waiting.to_bytes();
        let Named { name, key } =
            self.keys.first().ok_or_else(|| Error::configuration("no key for request states"))?;
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(binding), &mut sealed)
            .map_err(|_| Error::configuration("a request state cannot be sealed"))?;
        let bytes = [&name[..], &nonce, &sealed].concat();
        Ok(format!("{VERSION}{}", URL_SAFE_NO_PAD.encode(bytes)))
    }

    pub(crate) fn open(&self, state: &str, binding: &[u8], now: SystemTime) -> Result<Waiting, StateError> {
        if state.starts_with(OLDER) {
            return Err(StateError::Expired);
        }
        let encoded = state.strip_prefix(VERSION).filter(|_| state.len() <= LONGEST_STATE);
        let bytes =
            encoded.and_then(|encoded| URL_SAFE_NO_PAD.decode(encoded).ok()).ok_or(StateError::Invalid)?;
        let (name, rest) = bytes.split_first_chunk::<NAME>().ok_or(StateError::Invalid)?;
        let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>().ok_or(StateError::Invalid)?;
        let mut named = self.keys.iter().filter(|one| one.name == *name).peekable();
        if named.peek().is_none() {
            return Err(StateError::Expired);
        }
        let opened = named.find_map(|Named { key, .. }| {
            let mut sealed = sealed.to_vec();
            let nonce = Nonce::assume_unique_for_key(*nonce);
            let opened = key.open_in_place(nonce, Aad::from(binding), &mut sealed).ok()?;
            Some(opened.to_vec())
        });
        let waiting = opened.and_then(|bytes| Waiting::from_bytes(&bytes)).ok_or(StateError::Invalid)?;
        if waiting.expire_time <= now { Err(StateError::Expired) } else { Ok(waiting) }
    }
}

fn derive(secret: &[u8]) -> Result<Named, Error> {
    if secret.len() < SHORTEST_SECRET {
        return Err(Error::configuration("the secret for request states needs at least 32 bytes"));
    }
    if secret.iter().all(|byte| Some(byte) == secret.first()) {
        return Err(Error::configuration("the secret for request states is no secret"));
    }
    let extracted = Salt::new(HKDF_SHA256, &[]).extract(secret);
    let unusable = |_| Error::configuration("the secret for request states cannot be used");
    let key = extracted.expand(&[PURPOSE], &AES_256_GCM).map(UnboundKey::from).map_err(unusable)?;
    let mut derived = [0; 32];
    extracted.expand(&[NAMING], HKDF_SHA256).and_then(|named| named.fill(&mut derived)).map_err(unusable)?;
    let mut name = [0; NAME];
    name.copy_from_slice(&derived[..NAME]);
    Ok(Named { name, key: LessSafeKey::new(key) })
}

impl Waiting {
    /// Seconds since the Unix epoch, then the ids, one a line.
    fn to_bytes(&self) -> Vec<u8> {
        let seconds = self.expire_time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        let mut bytes = seconds.to_be_bytes().to_vec();
        bytes.extend_from_slice(self.consent_ids.join("\n").as_bytes());
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (seconds, ids) = bytes.split_first_chunk::<8>()?;
        let expire_time =
            SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(u64::from_be_bytes(*seconds)))?;
        let consent_ids = std::str::from_utf8(ids).ok()?.lines().map(str::to_owned).collect();
        Some(Self { consent_ids, expire_time })
    }
}

impl fmt::Debug for StateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateKey").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}
