//! What a person does at the certified provider and on the broker's pages, one step at a time.

use demo::browser::{Browser, Page};

/// Signs in and agrees at a certified provider wherever its forms ask; answers the first page that is none of them.
pub async fn at_provider(mut page: Page, account: &str) -> Page {
    for _ in 0..6 {
        // Signing in as somebody else ends the session at the provider by a form of its own.
        if let Ok(form) = page.form("/session/end/confirm") {
            page = form.submit("Continue").await.expect("signed out there");
            continue;
        }
        let Ok(form) = page.form("/interaction/") else { return page };
        page = match form.value("prompt") {
            Some("login") => {
                let form = form.fill("login", account).and_then(|form| form.fill("password", "any"));
                form.expect("a login form").submit("Sign-in").await.expect("signed in")
            }
            _ => form.submit("Continue").await.expect("agreed"),
        };
    }
    panic!("the provider's forms do not end: {}", page.describe());
}

/// Opens `link` and signs in at the IdP as `person` where that is asked.
pub async fn open(browser: &Browser, link: &str, person: &str) -> Page {
    at_provider(browser.get(link).await.expect("the link opens"), person).await
}

/// Presses the first button of the page's form for `verb`: approve, decline, confirm, reject.
pub async fn press(page: &Page, verb: &str) -> Page {
    let form = page.form(&format!("/{verb}")).unwrap_or_else(|e| panic!("{e}"));
    let button = form.buttons().first().map(|label| (*label).to_owned()).unwrap_or_default();
    form.submit(&button).await.unwrap_or_else(|e| panic!("{verb}: {e}"))
}

/// From the link to the page on which the provider's `account` is to be confirmed.
pub async fn to_confirmation(browser: &Browser, link: &str, person: &str, account: &str) -> Page {
    let page = open(browser, link, person).await;
    at_provider(press(&page, "approve").await, account).await
}

/// The whole way: sign in, approve, agree at the provider, confirm the account.
pub async fn connect(browser: &Browser, link: &str, person: &str, account: &str) -> Page {
    let page = to_confirmation(browser, link, person, account).await;
    let done = press(&page, "confirm").await;
    assert_eq!((done.status, done.title()), (200, "Done · Token broker"), "{}", done.describe());
    done
}

/// Goes as far as the provider's redirect back to the broker and answers its address, not visited.
pub async fn to_callback(browser: &Browser, link: &str, person: &str, account: &str) -> String {
    let page = open(browser, link, person).await;
    held(browser, page, account).await
}

/// The same from a page with the form for approving.
pub async fn held(browser: &Browser, page: Page, account: &str) -> String {
    let origin = page.url.origin().ascii_serialization();
    browser.hold_before(Some(&format!("{origin}/oauth/callback/")));
    let page = at_provider(press(&page, "approve").await, account).await;
    browser.hold_before(None);
    page.location().unwrap_or_else(|| panic!("not sent back: {}", page.describe())).to_string()
}

/// An address with one query parameter changed; `None` leaves it out.
pub fn with_param(url: &str, name: &str, value: Option<&str>) -> String {
    let mut url = url::Url::parse(url).expect("an address");
    let mut pairs: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    pairs.retain(|(n, _)| n != name);
    pairs.extend(value.map(|value| (name.to_owned(), value.to_owned())));
    url.query_pairs_mut().clear().extend_pairs(pairs);
    url.into()
}

/// A query parameter's value.
pub fn param(url: &str, name: &str) -> String {
    let url = url::Url::parse(url).expect("an address");
    let found = url.query_pairs().find(|(n, _)| n == name).map(|(_, value)| value.into_owned());
    found.unwrap_or_else(|| panic!("no {name} in the query"))
}

/// The page's text as one line of words: names in it are blocks of their own.
pub fn words(page: &Page) -> String {
    page.text().split_whitespace().collect::<Vec<_>>().join(" ")
}
