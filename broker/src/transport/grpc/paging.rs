//! Page sizes and tokens (AIP-158): opaque, URL-safe, bound to the query they continue.

use crate::domain::Refusal;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::digest;

/// Without a wish.
const DEFAULT: u32 = 50;
/// Larger wishes are cut to this.
const MAX: u32 = 1_000;

/// How many to return.
///
/// # Errors
/// A negative size.
pub fn size(wish: i32) -> Result<u32, Refusal> {
    match u32::try_from(wish) {
        Ok(0) => Ok(DEFAULT),
        Ok(wish) => Ok(wish.min(MAX)),
        Err(_) => Err(Refusal::invalid("page_size", "A page size is not negative.")),
    }
}

/// Where the next page of `query` begins.
pub fn token(query: &str, parts: &[&str]) -> String {
    URL_SAFE_NO_PAD.encode(format!("{}\n{}", mark(query), parts.join("\n")))
}

/// Reads a token made for the same query.
///
/// # Errors
/// Not a token, or one of another query.
pub fn read_token(query: &str, token: &str, parts: usize) -> Result<Vec<String>, Refusal> {
    let bad = || Refusal::invalid("page_token", "This page token does not continue this query.");
    if token.len() > 512 {
        return Err(bad());
    }
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| bad())?;
    let text = String::from_utf8(bytes).map_err(|_| bad())?;
    let mut read = text.split('\n').map(str::to_owned);
    if read.next() != Some(mark(query)) {
        return Err(bad());
    }
    let read: Vec<String> = read.collect();
    if read.len() == parts { Ok(read) } else { Err(bad()) }
}

fn mark(query: &str) -> String {
    data_encoding::HEXLOWER.encode(&digest::digest(&digest::SHA256, query.as_bytes()).as_ref()[..8])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_continues_only_its_own_query() {
        let made = token("q1", &["a", "2"]);
        assert_eq!(read_token("q1", &made, 2).unwrap(), ["a", "2"]);
        for (query, text, parts) in
            [("q2", made.as_str(), 2), ("q1", "", 2), ("q1", "x", 2), (("q1"), &made, 3)]
        {
            assert!(read_token(query, text, parts).is_err());
        }
        assert!(size(-1).is_err());
        assert_eq!((size(0).unwrap(), size(i32::MAX).unwrap()), (50, 1_000));
    }
}
