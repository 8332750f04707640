//! A browser without a window: cookies, forms, and redirects followed one by one so that a test can stop at any of them.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::{StatusCode, header};
use url::Url;

use crate::forms::{self, Form};

/// A client for the tests' own requests: follows nothing, keeps nothing, gives up after 30 s.
#[expect(
    clippy::disallowed_methods,
    reason = "the tests stand outside the broker, whose rule for outbound calls this is"
)]
pub fn http_client() -> reqwest::Client {
    // The first caller in the process installs it; the others find it there.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(Duration::from_secs(30))
        .no_proxy()
        .build()
        .expect("the test HTTP client")
}

/// What one request answered.
#[derive(Clone, Debug)]
pub struct Page {
    pub url: Url,
    pub status: StatusCode,
    pub headers: header::HeaderMap,
    pub body: String,
}

impl Page {
    /// The absolute target when the page is a redirect.
    pub fn redirect(&self) -> Option<Url> {
        let location = self.headers.get(header::LOCATION).filter(|_| self.status.is_redirection())?;
        self.url.join(location.to_str().ok()?).ok()
    }

    pub fn forms(&self) -> Vec<Form> {
        forms::parse(&self.body)
    }

    /// The first form whose field or button `name` has `value`.
    pub fn form_with(&self, name: &str, value: &str) -> Option<Form> {
        let wanted = (name.to_owned(), value.to_owned());
        self.forms()
            .into_iter()
            .find(|form| form.fields.get(name).is_some_and(|v| v == value) || form.buttons.contains(&wanted))
    }
}

/// One person's browser: cookies are kept per origin, as if every peer had a host of its own.
pub struct Browser {
    client: reqwest::Client,
    cookies: BTreeMap<(String, String, String), String>,
}

impl Default for Browser {
    fn default() -> Self {
        Self { client: http_client(), cookies: BTreeMap::new() }
    }
}

impl Browser {
    pub fn new() -> Self {
        Self::default()
    }

    /// One GET; a redirect is returned, not followed.
    pub async fn get(&mut self, url: &Url) -> Page {
        self.send(self.client.get(url.clone()), url).await
    }

    /// Sends a form of `page`, with `typed` over its prefilled fields; a redirect is returned, not followed.
    pub async fn submit(&mut self, page: &Page, form: &Form, typed: &[(&str, &str)]) -> Page {
        let mut target = page.url.join(&form.action).expect("the form's action is a URL");
        let mut fields = form.fields.clone();
        fields.extend(typed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        if form.method == "get" {
            target.query_pairs_mut().clear().extend_pairs(&fields);
            return self.get(&target).await;
        }
        let request = self
            .client
            .post(target.clone())
            .header(header::ORIGIN, page.url.origin().ascii_serialization())
            .header(
                "sec-fetch-site",
                if same_origin(&page.url, &target) { "same-origin" } else { "cross-site" },
            )
            .form(&fields);
        self.send(request, &target).await
    }

    /// Follows redirects from `page` while `stay` holds for the next address; returns the last page and, if a
    /// redirect was refused, where it would have led.
    pub async fn follow(&mut self, mut page: Page, stay: impl Fn(&Url) -> bool) -> (Page, Option<Url>) {
        for _ in 0..20 {
            match page.redirect() {
                None => return (page, None),
                Some(next) if !stay(&next) => return (page, Some(next)),
                Some(next) => page = self.get(&next).await,
            }
        }
        panic!("more than 20 redirects, last at {}", without_query(&page.url));
    }

    async fn send(&mut self, request: reqwest::RequestBuilder, url: &Url) -> Page {
        let request = match self.cookies_for(url) {
            cookies if cookies.is_empty() => request,
            cookies => request.header(header::COOKIE, cookies),
        };
        let response = request.send().await.unwrap_or_else(|e| panic!("{}: {e:?}", without_query(url)));
        let (status, headers) = (response.status(), response.headers().clone());
        for cookie in headers.get_all(header::SET_COOKIE) {
            self.keep(url, cookie.to_str().expect("a cookie in ASCII"));
        }
        Page { url: url.clone(), status, headers, body: response.text().await.expect("a body in UTF-8") }
    }

    fn cookies_for(&self, url: &Url) -> String {
        let origin = url.origin().ascii_serialization();
        let sent = self.cookies.iter().filter(|((o, path, _), _)| *o == origin && covers(path, url.path()));
        sent.map(|((_, _, name), value)| format!("{name}={value}")).collect::<Vec<_>>().join("; ")
    }

    fn keep(&mut self, url: &Url, cookie: &str) {
        let mut parts = cookie.split(';').map(str::trim);
        let Some((name, value)) = parts.next().and_then(|pair| pair.split_once('=')) else { return };
        let attributes: BTreeMap<String, &str> = parts
            .map(|part| part.split_once('=').unwrap_or((part, "")))
            .map(|(k, v)| (k.to_lowercase(), v))
            .collect();
        let path = attributes.get("path").copied().unwrap_or("/");
        let key = (url.origin().ascii_serialization(), path.to_owned(), name.to_owned());
        // Servers delete a cookie by an age of zero or a date long past.
        let gone = attributes.get("max-age").is_some_and(|age| age.starts_with(['0', '-']))
            || attributes.get("expires").is_some_and(|date| date.contains(" 1970 "));
        if gone || value.is_empty() {
            self.cookies.remove(&key);
        } else {
            self.cookies.insert(key, value.to_owned());
        }
    }
}

/// Whether both addresses have scheme, host and port in common.
pub fn same_origin(a: &Url, b: &Url) -> bool {
    a.origin() == b.origin()
}

/// RFC 6265 §5.1.4.
fn covers(cookie_path: &str, path: &str) -> bool {
    path.strip_prefix(cookie_path)
        .is_some_and(|rest| rest.is_empty() || cookie_path.ends_with('/') || rest.starts_with('/'))
}

/// For messages: a query may carry a code or a state.
fn without_query(url: &Url) -> &str {
    &url[..url::Position::AfterPath]
}
