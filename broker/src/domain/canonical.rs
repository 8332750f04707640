//! One unambiguous byte encoding for what is authenticated: MACs and AADs are computed over it.

/// Length-prefixed fields, so that no two different lists of fields have the same bytes.
pub struct Canonical(Vec<u8>);

/// Bytes most encodings fit into, so that they need not grow.
const ROOM: usize = 512;

impl Canonical {
    /// Starts an encoding with a domain-separation label.
    pub fn new(label: &str) -> Self {
        let mut encoding = Self(Vec::with_capacity(ROOM));
        encoding.bytes(label.as_bytes());
        encoding
    }

    /// Appends a field: its length as four big-endian bytes, then itself.
    pub fn bytes(&mut self, field: &[u8]) -> &mut Self {
        let length = u32::try_from(field.len()).expect("a field is far below 4 GiB");
        self.0.extend_from_slice(&length.to_be_bytes());
        self.0.extend_from_slice(field);
        self
    }

    /// Appends text.
    pub fn text(&mut self, field: &str) -> &mut Self {
        self.bytes(field.as_bytes())
    }

    /// Appends a number as eight big-endian bytes.
    pub fn number(&mut self, field: i64) -> &mut Self {
        self.bytes(&field.to_be_bytes())
    }

    /// Appends a field that may be missing; absent and empty differ.
    pub fn optional(&mut self, field: Option<&[u8]>) -> &mut Self {
        match field {
            None => self.bytes(&[0]),
            Some(field) => self.bytes(&[1]).bytes(field),
        }
    }

    /// The encoding.
    pub fn finish(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_fields_cannot_be_shifted_into_each_other() {
        let (mut a, mut b) = (Canonical::new("x"), Canonical::new("x"));
        a.text("ab").text("c");
        b.text("a").text("bc");
        assert_ne!(a.finish(), b.finish());
        let (mut none, mut empty) = (Canonical::new("x"), Canonical::new("x"));
        none.optional(None);
        empty.optional(Some(b""));
        assert_ne!(none.finish(), empty.finish());
    }
}
