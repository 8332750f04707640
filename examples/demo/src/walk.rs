//! What a person does in a browser: sign in, approve, allow, confirm, disconnect.

use crate::browser::{Browser, BrowserError, Form, Page};
use crate::world::{Account, Person};

/// Opens a consent link and does everything it takes: sign in at the SSO, approve, sign in at the SaaS and allow,
/// confirm the account. Steps that a page does not ask for are left out: a second server's approval of an existing
/// connection ends without a visit to the SaaS. Answers the last page.
///
/// # Errors
/// [`BrowserError`], naming what was on the page, when a form is not there or a page cannot be loaded.
pub async fn connect(
    browser: &Browser,
    link: &str,
    sso: &Account,
    saas: &Account,
) -> Result<Page, BrowserError> {
    let page = sign_in(browser.get(link).await?, sso).await?;
    let page = approve(page).await?;
    let page = allow(page, saas).await?;
    confirm(page).await
}

/// Opens the link of a batch and does everything it takes at every SaaS that is missing, from the page that leads through them
/// and back to it. Answers the last page.
///
/// # Errors
/// As [`connect`].
pub async fn connect_all(browser: &Browser, link: &str, person: &Person) -> Result<Page, BrowserError> {
    let mut page = sign_in(browser.get(link).await?, &person.sso).await?;
    for (name, saas) in [("Notes", &person.notes), ("Calendar", &person.calendar)] {
        let next = format!("Continue with {name}");
        if page.link(&next).is_ok() {
            let asked = approve(page.click(&next).await?).await?;
            page = confirm(allow(asked, saas).await?).await?;
        }
    }
    Ok(page)
}

/// Fills in the login form, if this page is one.
///
/// # Errors
/// As [`connect`].
pub async fn sign_in(page: Page, account: &Account) -> Result<Page, BrowserError> {
    match page.form("login") {
        Ok(form) if form.value("username").is_some() => {
            form.fill("username", account.name)?.fill("password", account.password)?.submit("Sign in").await
        }
        _ => Ok(page),
    }
}

/// Approves on the broker's consent page.
///
/// # Errors
/// As [`connect`].
pub async fn approve(page: Page) -> Result<Page, BrowserError> {
    press(page.form("/approve")?).await
}

/// Declines on the broker's consent page.
///
/// # Errors
/// As [`connect`].
pub async fn decline(page: Page) -> Result<Page, BrowserError> {
    press(page.form("/decline")?).await
}

/// Signs in at the SaaS where it asks, and allows what it asks for; does nothing on other pages.
///
/// # Errors
/// As [`connect`].
pub async fn allow(page: Page, account: &Account) -> Result<Page, BrowserError> {
    let page = sign_in(page, account).await?;
    match page.form("consent") {
        Ok(form) if form.buttons().contains(&"Allow") => form.submit("Allow").await,
        _ => Ok(page),
    }
}

/// Confirms the account that came back, where the broker asks.
///
/// # Errors
/// As [`connect`].
pub async fn confirm(page: Page) -> Result<Page, BrowserError> {
    match page.form("/confirm") {
        Ok(form) => press(form).await,
        Err(_) => Ok(page),
    }
}

/// Presses a form's first button: what the page proposes.
async fn press(form: Form) -> Result<Page, BrowserError> {
    let button = form.buttons().first().map(|label| (*label).to_owned()).unwrap_or_default();
    form.submit(&button).await
}
