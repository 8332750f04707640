//! A tiny browser: enough of Chromium to walk server-rendered pages and to be refused where Chromium would be.
//!
//! ```no_run
//! # async fn walk() -> Result<(), Box<dyn std::error::Error>> {
//! let browser = demo::browser::Browser::new(demo::clock::system(), b"")?;
//! let page = browser.get("http://127.0.0.1:4000/consent/abc").await?;
//! let page = page.form("login")?.fill("username", "alice")?.fill("password", "…")?.submit("Sign in").await?;
//! assert!(page.text().contains("Approve"), "{}", page.describe());
//! # Ok(()) }
//! ```
//!
//! Parts that differ only by port stand for different companies: each host and port has its own cookies and is a
//! site of its own, where a real browser would call them one site. No scripts run.

mod cookies;
mod error;
mod form;
mod html;
mod navigation;
mod page;

use std::sync::{Arc, Mutex};

use reqwest::Response;
use reqwest::header::HeaderMap;
use url::Url;

pub use error::BrowserError;
pub use form::Form;
pub use page::{Hop, Page};

use crate::clock::Now;
use crate::http::{self, ClientError};
use cookies::{Context, Jar};
use navigation::{Initiator, ReferrerPolicy, form_action_allows};
use page::bare;

const MAX_REDIRECTS: usize = 10;
const MAX_PAGE_BYTES: usize = 1 << 20;

/// One person's browser; clones share its cookies.
#[derive(Clone)]
pub struct Browser(Arc<Inner>);

struct Inner {
    client: reqwest::Client,
    jar: Mutex<Jar>,
    now: Now,
    hold: Mutex<Option<String>>,
}

impl std::fmt::Debug for Browser {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Browser")
    }
}

/// A navigation about to be made.
struct Request {
    url: Url,
    /// A form body makes it a POST.
    body: Option<String>,
    /// `None`: typed into the address bar.
    initiator: Option<Initiator>,
    /// A person did it (Sec-Fetch-User).
    by_hand: bool,
    /// The policies of the page whose form this is, and that page.
    form_policy: Option<(Vec<String>, Url)>,
}

impl Browser {
    /// A browser without cookies that trusts the PEM certificates in `trusted_pem` (none: plain HTTP only).
    ///
    /// # Errors
    /// When a certificate cannot be read.
    pub fn new(now: Now, trusted_pem: &[u8]) -> Result<Browser, ClientError> {
        let client = http::client(trusted_pem)?;
        Ok(Browser(Arc::new(Inner { client, jar: Mutex::default(), now, hold: Mutex::default() })))
    }

    /// Opens an address as if typed in, following redirects.
    ///
    /// # Errors
    /// When the address is no URL or the page cannot be loaded. Error statuses are pages, not errors.
    pub async fn get(&self, url: &str) -> Result<Page, BrowserError> {
        let url = Url::parse(url).map_err(|_| BrowserError::NotAnAddress)?;
        self.load(Request { url, body: None, initiator: None, by_hand: true, form_policy: None }).await
    }

    /// Opens an address by a link on the page `from`, which may be on another site.
    ///
    /// # Errors
    /// As [`Browser::get`].
    pub async fn get_from(&self, from: &str, url: &str) -> Result<Page, BrowserError> {
        self.cross(from, url, None).await
    }

    /// Sends a form to `url` from a page at `from`, which may be an attacker's.
    ///
    /// # Errors
    /// As [`Browser::get`].
    pub async fn post_from(
        &self,
        from: &str,
        url: &str,
        fields: &[(&str, &str)],
    ) -> Result<Page, BrowserError> {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        self.cross(from, url, Some(body.extend_pairs(fields).finish())).await
    }

    /// From now on a redirect to an address that starts with `prefix` is shown instead of followed
    /// ([`Page::location`] says where it leads); `None` follows everything again.
    pub fn hold_before(&self, prefix: Option<&str>) {
        *self.0.hold.lock().expect("no holder panicked") = prefix.map(str::to_owned);
    }

    /// Names and values of the cookies kept for an address.
    pub fn cookies(&self, url: &str) -> Vec<(String, String)> {
        let Ok(url) = Url::parse(url) else { return Vec::new() };
        self.0.jar.lock().expect("no holder panicked").list(&url, (self.0.now)())
    }

    /// Plants a cookie as if the server at `url` had sent this `Set-Cookie` line.
    pub fn plant_cookie(&self, url: &str, line: &str) {
        if let Ok(url) = Url::parse(url) {
            self.0.jar.lock().expect("no holder panicked").set(&url, line, (self.0.now)());
        }
    }

    /// Forgets every cookie.
    pub fn clear_cookies(&self) {
        self.0.jar.lock().expect("no holder panicked").clear();
    }

    async fn cross(&self, from: &str, url: &str, body: Option<String>) -> Result<Page, BrowserError> {
        let from = Url::parse(from).map_err(|_| BrowserError::NotAnAddress)?;
        let url = Url::parse(url).map_err(|_| BrowserError::NotAnAddress)?;
        let initiator = Initiator { url: from, policy: ReferrerPolicy::StrictOriginWhenCrossOrigin };
        self.load(Request { url, body, initiator: Some(initiator), by_hand: true, form_policy: None }).await
    }

    /// Navigates: follows redirects, and pages that leave by themselves, up to ten times in all.
    async fn load(&self, mut request: Request) -> Result<Page, BrowserError> {
        let mut trail: Vec<Hop> = Vec::new();
        let mut crossed = false;
        loop {
            self.check(&request, &trail)?;
            crossed |= request.initiator.as_ref().is_some_and(|from| from.origin() != request.url.origin());
            let response = self.send(&request, &trail, crossed).await?;
            let status = response.status().as_u16();
            let method = if request.body.is_some() { "POST" } else { "GET" };
            trail.push(Hop { method, url: request.url.clone(), status });
            let headers = response.headers().clone();
            self.keep_cookies(&request.url, &headers);
            if let Some(next) =
                redirect_target(&request.url, status, &headers).filter(|next| !self.holds(next))
            {
                if !matches!(status, 307 | 308) {
                    request.body = None;
                }
                if let (Some(from), Some(policy)) = (&mut request.initiator, referrer_policy(&headers)) {
                    from.policy = policy;
                }
                request.url = next;
                continue;
            }
            let html = read(response, &request.url).await?;
            let page = Page::new(self.clone(), trail, headers, html);
            match page.refresh().filter(|next| page.status == 200 && !self.holds(next)) {
                Some(next) => {
                    let initiator = Some(page.initiator());
                    request = Request { url: next, body: None, initiator, by_hand: false, form_policy: None };
                    (trail, crossed) = (page.trail, false);
                }
                None => return Ok(page),
            }
        }
    }

    fn check(&self, request: &Request, trail: &[Hop]) -> Result<(), BrowserError> {
        if !matches!(request.url.scheme(), "http" | "https") {
            return Err(BrowserError::NotAnAddress);
        }
        if trail.len() > MAX_REDIRECTS {
            let way: Vec<String> = trail.iter().map(|hop| bare(&hop.url)).collect();
            return Err(BrowserError::TooManyRedirects { trail: way.join(" → ") });
        }
        // Chromium holds every redirect of a form against the policy, not only its action.
        match &request.form_policy {
            Some((policies, page)) if !form_action_allows(policies, page, &request.url) => {
                Err(BrowserError::FormActionForbids { target: bare(&request.url) })
            }
            _ => Ok(()),
        }
    }

    async fn send(&self, request: &Request, trail: &[Hop], crossed: bool) -> Result<Response, BrowserError> {
        let url = &request.url;
        let client = &self.0.client;
        let mut builder = match &request.body {
            Some(body) => client
                .post(url.clone())
                .header("content-type", "application/x-www-form-urlencoded")
                .header("origin", origin_header(request, trail))
                .body(body.clone()),
            None => client.get(url.clone()),
        };
        builder = builder
            .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
            .header("accept-language", "en")
            .header("user-agent", "Mozilla/5.0 (X11; Linux x86_64) tiny-browser");
        if let Some(referer) = request.initiator.as_ref().and_then(|from| from.referer(url)) {
            builder = builder.header("referer", referer);
        }
        if cookies::is_trusted(url) {
            let site = match (&request.initiator, crossed) {
                (None, _) => "none",
                (Some(_), true) => "cross-site",
                (Some(_), false) => "same-origin",
            };
            builder = builder.header("sec-fetch-site", site);
            builder = builder.header("sec-fetch-mode", "navigate").header("sec-fetch-dest", "document");
            if request.by_hand {
                builder = builder.header("sec-fetch-user", "?1");
            }
        }
        let same_site = request.initiator.as_ref().is_none_or(|from| from.origin() == url.origin());
        let context = Context { same_site, safe_method: request.body.is_none() };
        let cookies = self.0.jar.lock().expect("no holder panicked").header(url, context, (self.0.now)());
        if let Some(cookies) = cookies {
            builder = builder.header("cookie", cookies);
        }
        builder.send().await.map_err(|error| transport(url, error))
    }

    fn keep_cookies(&self, url: &Url, headers: &HeaderMap) {
        let mut jar = self.0.jar.lock().expect("no holder panicked");
        for line in headers.get_all("set-cookie").iter().filter_map(|line| line.to_str().ok()) {
            jar.set(url, line, (self.0.now)());
        }
    }

    fn holds(&self, next: &Url) -> bool {
        let hold = self.0.hold.lock().expect("no holder panicked");
        hold.as_ref().is_some_and(|prefix| next.as_str().starts_with(prefix))
    }
}

/// The `Origin` of a POST. One that another server redirected here belongs to nobody (Fetch, tainted origin).
fn origin_header(request: &Request, trail: &[Hop]) -> String {
    let Some(from) = &request.initiator else { return "null".to_owned() };
    let previous = trail.last().filter(|hop| hop.method == "POST" && matches!(hop.status, 307 | 308));
    let tainted = previous.is_some_and(|hop| {
        let before = hop.url.origin();
        before != from.origin() && before != request.url.origin()
    });
    if tainted { "null".to_owned() } else { from.origin_header(&request.url) }
}

fn redirect_target(at: &Url, status: u16, headers: &HeaderMap) -> Option<Url> {
    let location = headers.get("location").filter(|_| matches!(status, 301..=303 | 307 | 308))?;
    at.join(location.to_str().ok()?).ok()
}

fn referrer_policy(headers: &HeaderMap) -> Option<ReferrerPolicy> {
    ReferrerPolicy::parse(headers.get("referrer-policy")?.to_str().ok()?)
}

async fn read(mut response: Response, url: &Url) -> Result<String, BrowserError> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| transport(url, error))? {
        body.extend_from_slice(&chunk);
        if body.len() > MAX_PAGE_BYTES {
            return Err(BrowserError::TooBig { at: bare(url) });
        }
    }
    Ok(String::from_utf8_lossy(&body).into_owned())
}

fn transport(url: &Url, error: reqwest::Error) -> BrowserError {
    BrowserError::Transport { at: bare(url), source: error.without_url() }
}

#[cfg(test)]
mod tests;
