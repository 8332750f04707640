//! What happens in each step.

pub(super) mod ask;
pub(super) mod audit;
pub(super) mod connect;
pub(super) mod disconnect;
pub(super) mod second;
pub(super) mod several;
pub(super) mod wider;

use crate::browser::Page;

use super::teller::{Mishap, ensure};

/// Fails unless the page has this status and says all of `words`.
fn expect(page: &Page, status: u16, words: &[&str]) -> Result<(), Mishap> {
    ensure(page.status == status, || {
        format!("a page with status {status} was to come: {}", page.describe())
    })?;
    // What stands together on the page may be in several elements.
    let text = page.text().split_whitespace().collect::<Vec<_>>().join(" ");
    for word in words {
        ensure(text.contains(word), || format!("the page does not say {word:?}: {}", page.describe()))?;
    }
    Ok(())
}

/// A page and what was done there: whose page, its title, the deed.
fn seen(page: &Page, deed: &str) -> String {
    let (title, brand) = page.title().rsplit_once(" · ").unwrap_or((page.title(), ""));
    format!("{brand:<14}{title:<41}{deed}")
}
