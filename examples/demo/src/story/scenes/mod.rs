//! What happens in each step.

pub(super) mod ask;
pub(super) mod audit;
pub(super) mod connect;
pub(super) mod disconnect;
pub(super) mod second;

use crate::browser::Page;

use super::teller::{Mishap, ensure};

/// Fails unless the page has this status and says all of `words`.
fn expect(page: &Page, status: u16, words: &[&str]) -> Result<(), Mishap> {
    ensure(page.status == status, || format!("a page with status {status} was to come: {}", page.describe()))?;
    for word in words {
        ensure(page.text().contains(word), || format!("the page does not say {word:?}: {}", page.describe()))?;
    }
    Ok(())
}
