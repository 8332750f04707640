//! The people for whom grants are asked: each with a sign-in, an account at the SaaS and a browser.

use std::time::Duration;

use demo::browser::{Browser, BrowserError};
use demo::sso::User;
use demo::walk;
use demo::world::{ALICE, Account, BOB, Site};

/// Longest that one walk through the pages may take.
const WALK: Duration = Duration::from_secs(20);

const NAMES: [&str; 8] = ["ann", "ben", "cas", "dee", "eli", "fay", "gus", "hal"];
const PASSWORD: &str = "crash-test-password";

/// One of them.
pub struct Crew {
    /// The sign-in at the SSO.
    pub sso: Account,
    /// The account at the SaaS: several people share one, each with tokens of their own.
    pub notes: Account,
    browser: Browser,
}

impl Crew {
    /// Makes everybody known to the SSO.
    pub fn hire(site: &Site) -> Vec<Crew> {
        let person = |(number, name): (usize, &&'static str)| {
            site.sso().put_user(User {
                username: (*name).to_owned(),
                password: PASSWORD.to_owned(),
                sub: format!("u-crew-{name}"),
                ..User::alice()
            });
            let notes = if number.is_multiple_of(2) { ALICE.notes } else { BOB.notes };
            let browser = site.browser().expect("a browser");
            Crew { sso: Account { name, password: PASSWORD }, notes, browser }
        };
        NAMES.iter().enumerate().map(person).collect()
    }

    /// Walks a consent to its end, from wherever it stands, as far as the broker lives to see it.
    pub async fn connect(&self, link: &str) -> Result<(), BrowserError> {
        tokio::time::timeout(WALK, self.walk(link)).await.expect("a page hangs")
    }

    async fn walk(&self, link: &str) -> Result<(), BrowserError> {
        let mut page = walk::sign_in(self.browser.get(link).await?, &self.sso).await?;
        if page.form("/confirm").is_err() {
            page = walk::allow(walk::approve(page).await?, &self.notes).await?;
        }
        walk::confirm(page).await.map(drop)
    }
}
