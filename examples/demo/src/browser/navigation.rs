//! What Chromium tells a server about where a navigation comes from: Origin, Referer, Fetch Metadata.
//! A site here is an origin: parts of the demo that differ only by port stand for different companies.

use url::{Origin, Url};

use super::cookies::is_trusted;

/// A page's Referrer-Policy (W3C Referrer Policy §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReferrerPolicy {
    NoReferrer,
    NoReferrerWhenDowngrade,
    SameOrigin,
    Origin,
    StrictOrigin,
    OriginWhenCrossOrigin,
    StrictOriginWhenCrossOrigin,
    UnsafeUrl,
}

impl ReferrerPolicy {
    /// The last policy the browser knows in a header value; `None` when there is none.
    pub(super) fn parse(header: &str) -> Option<ReferrerPolicy> {
        header.split(',').rev().find_map(|word| match word.trim().to_ascii_lowercase().as_str() {
            "no-referrer" => Some(ReferrerPolicy::NoReferrer),
            "no-referrer-when-downgrade" => Some(ReferrerPolicy::NoReferrerWhenDowngrade),
            "same-origin" => Some(ReferrerPolicy::SameOrigin),
            "origin" => Some(ReferrerPolicy::Origin),
            "strict-origin" => Some(ReferrerPolicy::StrictOrigin),
            "origin-when-cross-origin" => Some(ReferrerPolicy::OriginWhenCrossOrigin),
            "strict-origin-when-cross-origin" => Some(ReferrerPolicy::StrictOriginWhenCrossOrigin),
            "unsafe-url" => Some(ReferrerPolicy::UnsafeUrl),
            _ => None,
        })
    }
}

/// The page that started a navigation.
#[derive(Clone, Debug)]
pub(super) struct Initiator {
    pub(super) url: Url,
    pub(super) policy: ReferrerPolicy,
}

impl Initiator {
    pub(super) fn origin(&self) -> Origin {
        self.url.origin()
    }

    /// The `Referer` sent to `target`.
    pub(super) fn referer(&self, target: &Url) -> Option<String> {
        let same = self.origin() == target.origin();
        let downgrade = is_trusted(&self.url) && !is_trusted(target);
        let bare = format!("{}/", self.origin().ascii_serialization());
        let mut whole = self.url.clone();
        whole.set_fragment(None);
        // Neither fails on http and https URLs.
        let _ = (whole.set_username(""), whole.set_password(None));
        let whole = whole.to_string();
        match self.policy {
            ReferrerPolicy::NoReferrer => None,
            ReferrerPolicy::NoReferrerWhenDowngrade => (!downgrade).then_some(whole),
            ReferrerPolicy::SameOrigin => same.then_some(whole),
            ReferrerPolicy::Origin => Some(bare),
            ReferrerPolicy::StrictOrigin => (!downgrade).then_some(bare),
            ReferrerPolicy::OriginWhenCrossOrigin => Some(if same { whole } else { bare }),
            ReferrerPolicy::StrictOriginWhenCrossOrigin if same => Some(whole),
            ReferrerPolicy::StrictOriginWhenCrossOrigin => (!downgrade).then_some(bare),
            ReferrerPolicy::UnsafeUrl => Some(whole),
        }
    }

    /// The `Origin` of a POST to `target` (Fetch §3.2, "append a request Origin header").
    pub(super) fn origin_header(&self, target: &Url) -> String {
        let same = self.origin() == target.origin();
        let downgrade = self.url.scheme() == "https" && target.scheme() != "https";
        let hidden = match self.policy {
            ReferrerPolicy::NoReferrer => true,
            ReferrerPolicy::SameOrigin => !same,
            ReferrerPolicy::NoReferrerWhenDowngrade
            | ReferrerPolicy::StrictOrigin
            | ReferrerPolicy::StrictOriginWhenCrossOrigin => downgrade,
            ReferrerPolicy::Origin | ReferrerPolicy::OriginWhenCrossOrigin | ReferrerPolicy::UnsafeUrl => {
                false
            }
        };
        if hidden { "null".to_owned() } else { self.origin().ascii_serialization() }
    }
}

/// Whether a page's Content-Security-Policy lets a form go to `target` (CSP3 §6.4.2).
pub(super) fn form_action_allows(policies: &[String], page: &Url, target: &Url) -> bool {
    let directives = policies.iter().flat_map(|policy| policy.split([';', ',']));
    directives
        .filter_map(|directive| {
            let mut words = directive.split_ascii_whitespace();
            words.next().is_some_and(|name| name.eq_ignore_ascii_case("form-action")).then_some(words)
        })
        .all(|mut sources| sources.any(|source| source_matches(source, page, target)))
}

fn source_matches(source: &str, page: &Url, target: &Url) -> bool {
    match source {
        "'self'" => page.origin() == target.origin(),
        "*" => matches!(target.scheme(), "http" | "https"),
        _ => match source.strip_suffix(':') {
            Some(scheme) => scheme.eq_ignore_ascii_case(target.scheme()),
            None => Url::parse(source).is_ok_and(|source| {
                let exact = source.path() == "/" || source.path() == target.path();
                source.origin() == target.origin() && exact
            }),
        },
    }
}
