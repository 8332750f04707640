//! The people for whom grants are asked: each with a sign-in, an account at the SaaS and a browser.

use std::time::Duration;

use demo::browser::{Browser, BrowserError};
use demo::sso::User;
use demo::walk;
use demo::world::{ALICE, Account, BOB, CALENDAR, Person, Site};

use super::ask::Link;

/// Longest that one walk through the pages may take.
const WALK: Duration = Duration::from_secs(20);

const NAMES: [&str; 12] =
    ["ann", "ben", "cas", "dee", "eli", "fay", "gus", "hal", "ida", "jan", "kim", "leo"];
const PASSWORD: &str = "crash-test-password";

/// One of them.
pub struct Crew {
    /// The sign-in at the SSO.
    pub sso: Account,
    /// Whose accounts they use at both SaaS: several people share one, each with tokens of their own.
    pub at_saas: Person,
    browser: Browser,
}

impl Crew {
    /// Makes so many, at most 12, known to the SSO.
    pub fn hire(site: &Site, count: usize) -> Vec<Crew> {
        let person = |(number, name): (usize, &&'static str)| {
            site.sso().put_user(User {
                username: (*name).to_owned(),
                password: PASSWORD.to_owned(),
                sub: subject(name),
                ..User::alice()
            });
            let at_saas = if number.is_multiple_of(2) { ALICE } else { BOB };
            let browser = site.browser().expect("a browser");
            Crew { sso: Account { name, password: PASSWORD }, at_saas, browser }
        };
        NAMES.iter().take(count).enumerate().map(person).collect()
    }

    /// The subject claim at the SSO.
    pub fn subject(&self) -> String {
        subject(self.sso.name)
    }

    /// The account's id at the SaaS.
    pub fn account(&self) -> &'static str {
        if self.at_saas.notes.name == ALICE.notes.name { "acct-1001" } else { "acct-1002" }
    }

    /// Walks each consent to its end, from wherever it stands, as far as the broker lives to see it.
    pub async fn connect(&self, links: &[Link]) -> Result<(), BrowserError> {
        for link in links {
            tokio::time::timeout(WALK, self.walk(link)).await.expect("a page hangs")?;
        }
        Ok(())
    }

    async fn walk(&self, link: &Link) -> Result<(), BrowserError> {
        let mut page = walk::sign_in(self.browser.get(&link.url).await?, &self.sso).await?;
        let Some(provider) = link.provider else {
            // The page that leads through the others allows nothing by itself.
            return Ok(());
        };
        if page.form("/confirm").is_err() {
            let account = if provider == CALENDAR { &self.at_saas.calendar } else { &self.at_saas.notes };
            page = walk::allow(walk::approve(page).await?, account).await?;
        }
        walk::confirm(page).await.map(drop)
    }
}

fn subject(name: &str) -> String {
    format!("u-crew-{name}")
}
