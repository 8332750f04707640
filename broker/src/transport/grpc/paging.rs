//! Page sizes and tokens (AIP-158): opaque, URL-safe, sealed to the query they continue.

use crate::{domain::Refusal, keys::KeyRing};

/// Without a wish.
const DEFAULT: u32 = 50;
/// Larger wishes are cut to this.
const MAX: u32 = 1_000;
/// Longest token, in bytes.
const LONGEST: usize = 512;
/// What tokens are sealed as: no cookie opens as one.
const NAME: &str = "page token";

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

/// Where the next page of `query` begins. Sealed: what it says was said by the broker.
pub fn token(keys: &KeyRing, query: &str, parts: &[&str]) -> String {
    keys.cookies().seal(NAME, query, parts.join("\n").as_bytes()).unwrap_or_default()
}

/// Reads a token made for the same query.
///
/// # Errors
/// Not a token, or one of another query.
pub fn read_token(keys: &KeyRing, query: &str, token: &str, parts: usize) -> Result<Vec<String>, Refusal> {
    let bad = || Refusal::invalid("page_token", "This page token does not continue this query.");
    if token.len() > LONGEST {
        return Err(bad());
    }
    let opened = keys.cookies().open(NAME, query, token).map_err(|_| bad())?;
    let text = std::str::from_utf8(&opened).map_err(|_| bad())?;
    let read: Vec<String> = text.split('\n').map(str::to_owned).collect();
    if read.len() == parts { Ok(read) } else { Err(bad()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_bounded_and_not_negative() {
        assert!(size(-1).is_err());
        assert_eq!((size(0).unwrap(), size(i32::MAX).unwrap()), (50, 1_000));
    }
}
