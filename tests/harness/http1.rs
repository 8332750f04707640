//! HTTP/1.1 byte by byte: paths, headers and bodies that no HTTP library would send.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// Longer is a hang.
const PATIENCE: Duration = Duration::from_secs(5);

/// What came back.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// Names in lower case, in order.
    pub headers: Vec<(String, String)>,
    /// The body as sent, chunk sizes and all.
    pub body: String,
}

impl Reply {
    /// The only header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str());
        let first = found.next();
        assert!(found.next().is_none(), "{name} twice: {:?}", self.headers);
        first
    }

    /// What every page says, errors included.
    pub fn check_headers(&self, what: &str) {
        let policy =
            self.header("content-security-policy").unwrap_or_else(|| panic!("{what}: no policy in {self:?}"));
        for part in ["default-src 'none'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'"]
        {
            assert!(policy.contains(part), "{what}: {policy}");
        }
        assert!(!policy.contains("unsafe"), "{what}: {policy}");
        let expected = [
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
        ];
        for (name, value) in expected {
            assert_eq!(self.header(name), Some(value), "{what}: {name}");
        }
        let referrer = self.header("referrer-policy");
        assert!(matches!(referrer, Some("same-origin" | "no-referrer")), "{what}: {referrer:?}");
    }

    /// One of our error pages: this status, every header, a page to read, no script.
    pub fn check_error(&self, what: &str, status: u16) {
        assert_eq!(self.status, status, "{what}: {}", self.body);
        self.check_headers(what);
        assert_eq!(self.header("content-type"), Some("text/html; charset=utf-8"), "{what}");
        assert!(self.body.contains("<h1"), "{what}: not a page: {}", self.body);
        assert!(!self.body.contains("<script"), "{what}: {}", self.body);
        assert_eq!(self.header("set-cookie"), None, "{what}");
        assert_eq!(self.header("location"), None, "{what}");
    }
}

/// A request; the body's length is told unless `headers` say something about it.
pub async fn send(to: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
    let mut text = format!("{method} {path} HTTP/1.1\r\nconnection: close\r\n");
    let has = |name: &str| headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name));
    if !has("host") {
        text += &format!("host: {to}\r\n");
    }
    if !has("content-length") && !has("transfer-encoding") && (method == "POST" || !body.is_empty()) {
        text += &format!("content-length: {}\r\n", body.len());
    }
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    exchange(to, &[text.as_bytes(), b"\r\n", body].concat()).await
}

/// Bytes there and back.
pub async fn exchange(to: SocketAddr, request: &[u8]) -> Reply {
    let talk = async {
        let mut stream = TcpStream::connect(to).await.expect("connects");
        let (mut reader, mut writer) = stream.split();
        let mut said = Vec::new();
        // A server that has read enough may close before all is sent.
        let (_, read) = tokio::join!(writer.write_all(request), reader.read_to_end(&mut said));
        if let Err(error) = read {
            assert!(!said.is_empty(), "no answer: {error}");
        }
        said
    };
    parse(&tokio::time::timeout(PATIENCE, talk).await.expect("an answer in time, not a hang"))
}

fn parse(said: &[u8]) -> Reply {
    let text = String::from_utf8_lossy(said).into_owned();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).and_then(|code| code.parse().ok());
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    Reply { status: status.unwrap_or_else(|| panic!("not HTTP: {text:?}")), headers, body: body.to_owned() }
}
