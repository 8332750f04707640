//! The root key ring in a file: the default KEK. Loading refuses what would make encryption a pretence (VA7).

use super::{KeyError, KeyringError, SecretKey, random_key_id};
use crate::domain::{Canonical, Rng, Timestamp};
use base64::{Engine, engine::general_purpose::STANDARD};
use std::{
    collections::BTreeSet,
    fmt,
    fs::{File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};
use zeroize::Zeroizing;

/// Largest key file, in bytes.
const MAX_FILE: u64 = 64 * 1024;

/// Root keys by id. The first wraps, all unwrap.
pub struct FileKeyring {
    keys: Vec<(String, SecretKey)>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Document<'a> {
    #[serde(borrow)]
    keys: Vec<DocumentKey<'a>>,
}

/// Borrows from the wiped file buffer, so that no other copy of a key is made.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct DocumentKey<'a> {
    id: &'a str,
    key: &'a str,
}

/// What a root key wraps: bound into the wrapping.
#[derive(Clone, Copy)]
pub struct Wrapping<'a> {
    /// `system` or `tenant`.
    pub purpose: &'a str,
    /// The tenant, `""` for the system key.
    pub tenant: &'a str,
    /// The wrapped key's id.
    pub key: &'a str,
    /// Its place among the tenant's keys; `None` for the first.
    pub further: Option<Further<'a>>,
}

/// The place of a key that a tenant got after its first: nobody can give it another without the root key.
#[derive(Clone, Copy)]
pub struct Further<'a> {
    /// The id of the tenant's first key.
    pub first: &'a str,
    /// When it was made: the keys are ordered by that.
    pub created_at: Timestamp,
}

impl Wrapping<'_> {
    fn aad(&self) -> Canonical {
        let label =
            if self.further.is_some() { "broker.v1 further wrapped key" } else { "broker.v1 wrapped key" };
        let mut aad = Canonical::new(label);
        aad.text(self.purpose).text(self.tenant).text(self.key);
        if let Some(Further { first, created_at }) = self.further {
            aad.text(first).number(created_at.micros());
        }
        aad
    }
}

impl FileKeyring {
    /// Reads and checks a key file: JSON `{"keys": [{"id": "…", "key": "<32 bytes in base64>"}]}`, primary first.
    ///
    /// # Errors
    /// [`KeyringError`]: each case names what to mend.
    pub fn load(path: &Path) -> Result<Self, KeyringError> {
        let text = read_private(path)?;
        let document: Document<'_> = serde_json::from_slice(&text).map_err(|error| {
            // serde's own words would quote the file.
            KeyringError::Malformed { path: path.to_owned(), line: error.line(), column: error.column() }
        })?;
        if document.keys.is_empty() {
            return Err(KeyringError::Empty { path: path.to_owned() });
        }
        let mut seen = BTreeSet::new();
        let mut keys = Vec::with_capacity(document.keys.len());
        for (index, entry) in document.keys.iter().enumerate() {
            let id = key_name(entry.id).ok_or(KeyringError::BadId { number: index + 1 })?;
            if !seen.insert(id.clone()) {
                return Err(KeyringError::DuplicateId { id });
            }
            let key = decode(&id, entry.key)?;
            keys.push((id, key));
        }
        Ok(Self { keys })
    }

    /// Makes one fresh key and writes it to a new file with mode 0600.
    ///
    /// # Errors
    /// [`KeyringError::Exists`] when there is a file already, [`KeyringError::Io`] when it cannot be written.
    pub fn generate(path: &Path, rng: &dyn Rng) -> Result<Self, KeyringError> {
        let (id, key) = (random_key_id(rng), SecretKey::random(rng));
        let encoded = Zeroizing::new(STANDARD.encode(key.expose()));
        let text = Zeroizing::new(format!(
            "{{\n  \"keys\": [\n    {{\"id\": \"{id}\", \"key\": \"{}\"}}\n  ]\n}}\n",
            *encoded
        ));
        let io = |source: std::io::Error| match source.kind() {
            std::io::ErrorKind::AlreadyExists => KeyringError::Exists { path: path.to_owned() },
            _ => KeyringError::Io { path: path.to_owned(), source },
        };
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(io)?;
        // The mode above passes through the umask; this one does not.
        file.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(io)?;
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
        Ok(Self { keys: vec![(id, key)] })
    }

    /// The id of the key that wraps.
    pub fn primary(&self) -> &str {
        &self.keys[0].0
    }

    /// The ids of its keys, the one that wraps first.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().map(|(id, _)| id.as_str())
    }

    /// Wraps with the primary key.
    pub(super) fn wrap(&self, what: Wrapping<'_>, key: &SecretKey, rng: &dyn Rng) -> Vec<u8> {
        self.keys[0].1.seal_fresh(rng, what.aad().finish(), key.expose())
    }

    /// Unwraps with the key that wrapped it.
    pub(super) fn unwrap(&self, what: Wrapping<'_>, by: &str, wrapped: &[u8]) -> Result<SecretKey, KeyError> {
        let (_, root) = self
            .keys
            .iter()
            .find(|(id, _)| id == by)
            .ok_or_else(|| KeyError::Unknown { key: by.to_owned() })?;
        root.open_fresh(what.aad().finish(), wrapped)
            .and_then(|key| SecretKey::from_slice(&key))
            .ok_or_else(|| KeyError::Tampered { key: what.key.to_owned() })
    }

    #[cfg(test)]
    pub(crate) fn both(first: (&str, [u8; 32]), second: (&str, [u8; 32])) -> Self {
        let [first, second] = [first, second].map(|(id, key)| Self::of(id, key).keys);
        Self { keys: [first, second].into_iter().flatten().collect() }
    }

    #[cfg(test)]
    pub(crate) fn of(id: &str, key: [u8; 32]) -> Self {
        Self { keys: vec![(id.to_owned(), SecretKey::from_slice(&key).unwrap())] }
    }
}

impl fmt::Debug for FileKeyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|(id, _)| id)).finish()
    }
}

fn read_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyringError> {
    let io = |source| KeyringError::Io { path: path.to_owned(), source };
    let file = File::open(path).map_err(io)?;
    // Asked of the open file, not of the path: nobody can swap it in between.
    let metadata = file.metadata().map_err(io)?;
    if !metadata.is_file() {
        return Err(KeyringError::NotAFile { path: path.to_owned() });
    }
    let mode = metadata.mode() & 0o7777;
    if !is_private(mode, metadata.uid(), rustix::process::geteuid().as_raw()) {
        return Err(KeyringError::OpenToOthers { path: path.to_owned(), mode });
    }
    if metadata.len() > MAX_FILE {
        return Err(KeyringError::TooBig { path: path.to_owned(), limit: MAX_FILE });
    }
    // Sized beforehand: a growing buffer would leave copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(MAX_FILE as usize + 1));
    file.take(MAX_FILE).read_to_end(&mut text).map_err(io)?;
    Ok(text)
}

/// Nobody but the owner may read it. Or it is root's, and root lets a group read it that we are in without being root: how Kubernetes
/// hands a file to a process that is not root (`fsGroup`); whoever can give that group away could give the file away as well.
pub(super) fn is_private(mode: u32, owner: u32, we: u32) -> bool {
    let lent_by_root = owner == 0 && we != 0 && mode & 0o037 == 0;
    mode & 0o077 == 0 || lent_by_root
}

fn key_name(text: &str) -> Option<String> {
    let ok = (1..=63).contains(&text.len())
        && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.'));
    ok.then(|| text.to_owned())
}

fn decode(id: &str, text: &str) -> Result<SecretKey, KeyringError> {
    let bytes =
        Zeroizing::new(STANDARD.decode(text).map_err(|_| KeyringError::NotBase64 { id: id.to_owned() })?);
    if let Some(what) = guessable(&bytes) {
        return Err(KeyringError::Guessable { id: id.to_owned(), what });
    }
    SecretKey::from_slice(&bytes)
        .ok_or_else(|| KeyringError::WrongLength { id: id.to_owned(), length: bytes.len() })
}

/// Keys nobody drew at random: padding, counting, text, and the AES-256 keys of published test vectors.
fn guessable(key: &[u8]) -> Option<&'static str> {
    const SP800_38A: &str = "603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4";
    const GCM_SPEC: &str = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
    const KEY_WRAP_RFC5649: &str = "5840df6e29b02af1ab493b705bf16ea1ae8338f4dcc176a85840df6e29b02af1";
    let published =
        |hex: &str| data_encoding::HEXLOWER.decode(hex.as_bytes()).is_ok_and(|known| known == key);
    if key.len() != 32 {
        return None;
    }
    if key.iter().all(|b| *b == 0) {
        return Some("all zeros");
    }
    if (1..=16).any(|period| key.chunks(period).all(|chunk| key.starts_with(chunk))) {
        return Some("a repeated pattern");
    }
    let step = key[1].wrapping_sub(key[0]);
    if key.windows(2).all(|pair| pair[1].wrapping_sub(pair[0]) == step) {
        return Some("a counted sequence");
    }
    if key.iter().all(|b| b.is_ascii_graphic() || *b == b' ') {
        return Some("readable text");
    }
    [SP800_38A, GCM_SPEC, KEY_WRAP_RFC5649].into_iter().any(published).then_some("a published test vector")
}
