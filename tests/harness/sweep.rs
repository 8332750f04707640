//! Looks for secrets in whatever a broker wrote, in every form in which one might have slipped out.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD};
use data_encoding::HEXLOWER;

/// Shorter things are found everywhere by accident.
const SHORTEST: usize = 12;
/// As many bytes as `{:?}` of a byte slice is recognised by.
const LISTED: usize = 12;

/// Secrets to look for, each in all its forms.
#[derive(Default)]
pub struct Sweep {
    needles: Vec<Needle>,
}

struct Needle {
    name: String,
    form: &'static str,
    text: String,
}

impl Sweep {
    /// Adds a secret. `name` says what it is and may be printed.
    ///
    /// # Panics
    /// When it is too short to be told from chance.
    pub fn add(&mut self, name: &str, secret: &[u8]) {
        assert!(secret.len() >= SHORTEST, "{name} is too short to look for");
        for (form, text) in forms(secret) {
            self.needles.push(Needle { name: name.to_owned(), form, text });
        }
    }

    /// How many forms of secrets are looked for.
    pub fn len(&self) -> usize {
        self.needles.len()
    }

    /// Whether nothing is looked for.
    pub fn is_empty(&self) -> bool {
        self.needles.is_empty()
    }

    /// Every secret in `bytes`, as `name as form`; never the secret itself.
    pub fn find(&self, bytes: &[u8]) -> Vec<String> {
        let hay = latin1(bytes);
        let found = self.needles.iter().filter(|needle| hay.contains(&needle.text));
        found.map(|needle| format!("{} as {}", needle.name, needle.form)).collect()
    }
}

fn latin1(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

fn forms(secret: &[u8]) -> Vec<(&'static str, String)> {
    let hex = HEXLOWER.encode(secret);
    let list: Vec<String> = secret.iter().take(LISTED).map(u8::to_string).collect();
    let mut forms = vec![
        ("itself", latin1(secret)),
        ("hex", hex.clone()),
        ("upper-case hex", hex.to_uppercase()),
        ("a list of bytes", list.join(", ")),
    ];
    if let Ok(text) = std::str::from_utf8(secret) {
        let percent: String = url::form_urlencoded::byte_serialize(secret).collect();
        let escaped = text.escape_debug().to_string();
        let other = [("percent-encoding", percent), ("an escaped string", escaped)];
        forms.extend(other.into_iter().filter(|(_, form)| form != text));
    }
    for (name, alphabet) in [("base64", &alphabet::STANDARD), ("base64url", &alphabet::URL_SAFE)] {
        let engine = GeneralPurpose::new(alphabet, NO_PAD);
        forms.extend((0..3).map(|before| (name, base64_inside(&engine, secret, before))));
    }
    forms
}

/// The characters that stand for `secret` alone when it is encoded with `before` (modulo 3) bytes in front of it.
fn base64_inside(engine: &GeneralPurpose, secret: &[u8], before: usize) -> String {
    let mut padded = vec![0; before];
    padded.extend_from_slice(secret);
    let encoded = engine.encode(&padded);
    // Characters that share bits with what stands before or may stand after it are left out.
    let (first, last) = ((before * 8).div_ceil(6), padded.len() * 8 / 6);
    encoded[first..last].to_owned()
}

#[cfg(test)]
mod tests {
    use super::Sweep;
    use base64::Engine as _;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
    use data_encoding::{HEXLOWER, HEXUPPER};

    const SECRET: &[u8] = b"s3cr\xC3\xA9t+/of?the=canary";

    fn sweep() -> Sweep {
        let mut sweep = Sweep::default();
        sweep.add("canary", SECRET);
        sweep
    }

    #[test]
    fn a_planted_secret_is_found_in_every_form_and_wherever_it_stands() {
        let sweep = sweep();
        for before in 0..7 {
            let plain = [&b"abcdefg"[..before], SECRET, b"and more"].concat();
            let debug = format!("{plain:?}");
            let forms = [
                plain.clone(),
                HEXLOWER.encode(&plain).into_bytes(),
                HEXUPPER.encode(&plain).into_bytes(),
                STANDARD.encode(&plain).into_bytes(),
                URL_SAFE_NO_PAD.encode(&plain).into_bytes(),
                url::form_urlencoded::byte_serialize(&plain).collect::<String>().into_bytes(),
                debug.into_bytes(),
            ];
            for form in forms {
                assert!(!sweep.find(&form).is_empty(), "{before}: {}", String::from_utf8_lossy(&form));
            }
        }
    }

    #[test]
    fn nothing_is_found_where_nothing_is() {
        let noise: Vec<u8> = (0..50_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        assert!(sweep().find(&noise).is_empty());
        assert!(sweep().find(&SECRET[..SECRET.len() - 1]).is_empty());
    }
}
