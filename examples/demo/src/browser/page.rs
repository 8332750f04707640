//! A loaded page.

use reqwest::header::HeaderMap;
use url::Url;

use super::form::Form;
use super::html::Document;
use super::navigation::{Initiator, ReferrerPolicy};
use super::{Browser, BrowserError, Request};

/// One request on the way to a page.
#[derive(Clone)]
pub struct Hop {
    /// `GET` or `POST`.
    pub method: &'static str,
    /// What was asked for.
    pub url: Url,
    /// What was answered.
    pub status: u16,
}

impl std::fmt::Debug for Hop {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without the query: it carries codes.
        write!(f, "{} {} {}", self.method, bare(&self.url), self.status)
    }
}

/// What the browser shows after a navigation.
#[derive(Clone)]
pub struct Page {
    /// The status of the last answer.
    pub status: u16,
    /// The address in the address bar.
    pub url: Url,
    /// Every request made to get here, this page's own last.
    pub trail: Vec<Hop>,
    headers: HeaderMap,
    html: String,
    document: Document,
    browser: Browser,
}

impl std::fmt::Debug for Page {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without headers and source: they carry cookies and handles.
        f.write_str(&self.describe())
    }
}

impl Page {
    pub(super) fn new(browser: Browser, trail: Vec<Hop>, headers: HeaderMap, html: String) -> Page {
        let (status, url) =
            trail.last().map(|hop| (hop.status, hop.url.clone())).expect("a page was asked for");
        let document = Document::parse(&html);
        Page { status, url, trail, headers, html, document, browser }
    }

    /// The visible text, one line per block.
    pub fn text(&self) -> &str {
        &self.document.text
    }

    /// The page's title.
    pub fn title(&self) -> &str {
        &self.document.title
    }

    /// The source.
    pub fn html(&self) -> &str {
        &self.html
    }

    /// A response header, when it is there and text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// All response headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// Where an answer that was not followed points to (see [`Browser::hold_before`]).
    pub fn location(&self) -> Option<Url> {
        self.url.join(self.header("location")?).ok()
    }

    /// The form whose id is `wanted`, or the first whose action contains it.
    ///
    /// # Errors
    /// [`BrowserError::NoForm`], naming what is on the page.
    pub fn form(&self, wanted: &str) -> Result<Form, BrowserError> {
        let forms = &self.document.forms;
        let by_id = forms.iter().find(|form| form.id == wanted);
        let found = by_id.or_else(|| forms.iter().find(|form| form.action.contains(wanted)));
        match found {
            Some(form) => Ok(Form::new(self, form.clone())),
            None => Err(BrowserError::NoForm { wanted: wanted.to_owned(), page: self.describe() }),
        }
    }

    /// Every form on the page.
    pub fn forms(&self) -> Vec<Form> {
        self.document.forms.iter().map(|form| Form::new(self, form.clone())).collect()
    }

    /// The target of the link with this text.
    ///
    /// # Errors
    /// [`BrowserError::NoLink`], naming what is on the page.
    pub fn link(&self, text: &str) -> Result<Url, BrowserError> {
        let href = self.document.links.iter().find(|(label, _)| label == text).map(|(_, href)| href);
        href.and_then(|href| self.url.join(href).ok())
            .ok_or_else(|| BrowserError::NoLink { wanted: text.to_owned(), page: self.describe() })
    }

    /// Clicks the link with this text and loads what follows.
    ///
    /// # Errors
    /// When there is no such link or the next page cannot be loaded.
    pub async fn click(&self, text: &str) -> Result<Page, BrowserError> {
        let url = self.link(text)?;
        let initiator = Some(self.initiator());
        let request = Request { url, body: None, initiator, by_hand: true, form_policy: None };
        self.browser.load(request).await
    }

    /// What is on the page, in a few lines, for a message.
    pub fn describe(&self) -> String {
        let text: String = self.text().chars().take(400).collect();
        let forms: Vec<String> = self.document.forms.iter().map(super::form::FormData::describe).collect();
        let links: Vec<&str> = self.document.links.iter().map(|(label, _)| label.as_str()).collect();
        let at = bare(&self.url);
        let forms = if forms.is_empty() { "no forms".to_owned() } else { forms.join(", ") };
        format!("{at} ({}, {:?}): {text:?}; {forms}; links {links:?}", self.status, self.title())
    }

    pub(super) fn browser(&self) -> &Browser {
        &self.browser
    }

    pub(super) fn initiator(&self) -> Initiator {
        let policy = self.header("referrer-policy").and_then(ReferrerPolicy::parse);
        let policy = policy.unwrap_or(ReferrerPolicy::StrictOriginWhenCrossOrigin);
        Initiator { url: self.url.clone(), policy }
    }

    pub(super) fn content_security_policies(&self) -> Vec<String> {
        let lines = self.headers.get_all("content-security-policy").iter();
        lines.filter_map(|line| line.to_str().ok()).map(str::to_owned).collect()
    }

    /// Where the page sends the browser by itself: a `Refresh` header or its meta form, to another address.
    pub(super) fn refresh(&self) -> Option<Url> {
        let header = self.header("refresh").and_then(|value| value.split_once("url=")).map(|(_, to)| to);
        let target = self.url.join(self.document.refresh.as_deref().or(header)?).ok()?;
        (target != self.url).then_some(target)
    }
}

/// A URL without query and fragment, safe to show.
pub(super) fn bare(url: &Url) -> String {
    format!("{}{}", url.origin().ascii_serialization(), url.path())
}
