//! The cookie jar (RFC 6265bis), host and port together being one host: parts of the demo that differ only by
//! port stand for different companies.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;
use url::{Host, Url};

/// How far a cookie travels from other sites.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SameSite {
    Strict,
    Lax,
    None,
}

#[derive(Clone)]
struct Cookie {
    name: String,
    value: String,
    host: String,
    path: String,
    secure: bool,
    same_site: SameSite,
    expires: Option<i64>,
}

/// Where a request comes from, as far as cookies care.
#[derive(Clone, Copy, Debug)]
pub(super) struct Context {
    /// The page that started the navigation is on the target's own site, or nobody's page did.
    pub(super) same_site: bool,
    /// GET.
    pub(super) safe_method: bool,
}

/// All cookies of one browser.
#[derive(Default)]
pub(super) struct Jar(Vec<Cookie>);

impl Jar {
    /// Takes in one `Set-Cookie` line; what a browser would ignore is ignored.
    pub(super) fn set(&mut self, url: &Url, line: &str, now: i64) {
        let Some(cookie) = parse(url, line, now) else { return };
        let same =
            |old: &Cookie| old.name == cookie.name && old.host == cookie.host && old.path == cookie.path;
        self.0.retain(|old| !same(old));
        if cookie.expires.is_none_or(|expires| now < expires) {
            self.0.push(cookie);
        }
    }

    /// The `Cookie` header of a request, if any cookie goes with it.
    pub(super) fn header(&self, url: &Url, context: Context, now: i64) -> Option<String> {
        let travels = |cookie: &&Cookie| match cookie.same_site {
            SameSite::None => true,
            SameSite::Lax => context.same_site || context.safe_method,
            SameSite::Strict => context.same_site,
        };
        let pairs: Vec<String> =
            self.matching(url, now).filter(travels).map(|c| format!("{}={}", c.name, c.value)).collect();
        (!pairs.is_empty()).then(|| pairs.join("; "))
    }

    /// Names and values of what is kept for a URL.
    pub(super) fn list(&self, url: &Url, now: i64) -> Vec<(String, String)> {
        self.matching(url, now).map(|cookie| (cookie.name.clone(), cookie.value.clone())).collect()
    }

    /// Forgets everything.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn matching<'a>(&'a self, url: &'a Url, now: i64) -> impl Iterator<Item = &'a Cookie> {
        let (host, trusted) = (host_and_port(url), is_trusted(url));
        let mut found: Vec<&Cookie> = self.0.iter().filter(|c| c.host == host).collect();
        found.retain(|c| path_covers(&c.path, url.path()) && (trusted || !c.secure));
        found.retain(|c| c.expires.is_none_or(|expires| now < expires));
        // Longer paths first (RFC 6265bis §5.8.3); the sort is stable, so older ones stay first.
        found.sort_by_key(|c| std::cmp::Reverse(c.path.len()));
        found.into_iter()
    }
}

fn parse(url: &Url, line: &str, now: i64) -> Option<Cookie> {
    let mut parts = line.split(';');
    let (name, value) = parts.next()?.split_once('=')?;
    let mut cookie = Cookie {
        name: name.trim().to_owned(),
        value: value.trim().to_owned(),
        host: host_and_port(url),
        path: default_path(url),
        secure: false,
        same_site: SameSite::Lax,
        expires: None,
    };
    let (mut domain, mut explicit_path, mut max_age) = (None, None, None);
    for part in parts {
        let (attribute, value) = part.split_once('=').unwrap_or((part, ""));
        let value = value.trim();
        match attribute.trim().to_ascii_lowercase().as_str() {
            "secure" => cookie.secure = true,
            "path" if value.starts_with('/') => explicit_path = Some(value.to_owned()),
            "domain" => domain = Some(value.trim_start_matches('.').to_ascii_lowercase()),
            "max-age" => max_age = value.parse::<i64>().ok().or(max_age),
            "expires" => {
                let moment = OffsetDateTime::parse(value, &Rfc2822).ok();
                cookie.expires = moment.map(OffsetDateTime::unix_timestamp).or(cookie.expires);
            }
            "samesite" => {
                cookie.same_site = match value.to_ascii_lowercase().as_str() {
                    "strict" => SameSite::Strict,
                    "none" => SameSite::None,
                    _ => SameSite::Lax,
                }
            }
            _ => {}
        }
    }
    // Max-Age wins over Expires; zero and below delete.
    cookie.expires = max_age
        .map(|seconds| if seconds <= 0 { i64::MIN } else { now.saturating_add(seconds) })
        .or(cookie.expires);
    let root_path = explicit_path.as_deref() == Some("/");
    cookie.path = explicit_path.unwrap_or(cookie.path);
    let lower = cookie.name.to_ascii_lowercase();
    let foreign = domain.as_ref().is_some_and(|domain| Some(domain.as_str()) != url.host_str());
    let unsafe_secure = cookie.secure && !is_trusted(url);
    let bad_none = cookie.same_site == SameSite::None && !cookie.secure;
    let bad_host = lower.starts_with("__host-") && !(cookie.secure && domain.is_none() && root_path);
    let bad_prefix = lower.starts_with("__secure-") && !cookie.secure;
    (!(foreign || unsafe_secure || bad_none || bad_host || bad_prefix)).then_some(cookie)
}

/// https, or the loopback interface, which Chromium trusts just as much.
pub(super) fn is_trusted(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    };
    url.scheme() == "https" || loopback
}

fn host_and_port(url: &Url) -> String {
    format!("{}:{}", url.host_str().unwrap_or_default(), url.port_or_known_default().unwrap_or_default())
}

fn default_path(url: &Url) -> String {
    match url.path().rfind('/') {
        None | Some(0) => "/".to_owned(),
        Some(last) => url.path()[..last].to_owned(),
    }
}

fn path_covers(cookie: &str, request: &str) -> bool {
    request
        .strip_prefix(cookie)
        .is_some_and(|rest| rest.is_empty() || cookie.ends_with('/') || rest.starts_with('/'))
}
