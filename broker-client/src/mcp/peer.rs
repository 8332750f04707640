//! What the MCP client on the other side understands.

use serde_json::Value;

/// The first revision with URL elicitation, told by error `-32042`.
const ELICITATION_ERRORS: &str = "2025-11-25";
/// The first revision in which a tool answers `input_required` and is called again.
const ROUND_TRIPS: &str = "2026-07-28";

/// An MCP client, as far as it matters for asking its user: the revision it speaks and whether it opens links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    pub(super) era: Era,
    pub(super) opens_links: bool,
}

/// How a server may ask for a link to be opened. Later is greater.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Era {
    /// It may not.
    Text,
    /// By an error.
    Errors,
    /// By a result, after which the client calls again.
    RoundTrips,
}

impl Peer {
    /// `protocol_version`: the revision in force for this request, such as `2025-11-25`; `None` when none was negotiated.
    /// `capabilities`: the client's own, from this request's `_meta` or, before 2026-07-28, from `initialize`.
    ///
    /// A revision that is no date is taken for one that knows no links: every client can show a text.
    pub fn new(protocol_version: Option<&str>, capabilities: Option<&Value>) -> Self {
        let version = protocol_version.filter(|version| is_date(version)).unwrap_or_default();
        // Dates in this form sort as text.
        let era = match version {
            version if version >= ROUND_TRIPS => Era::RoundTrips,
            version if version >= ELICITATION_ERRORS => Era::Errors,
            _ => Era::Text,
        };
        // `"elicitation": {}` means forms alone.
        let opens_links = capabilities
            .and_then(|capabilities| capabilities.get("elicitation")?.get("url"))
            .is_some_and(Value::is_object);
        Self { era, opens_links }
    }
}

fn is_date(version: &str) -> bool {
    let fits =
        |(at, byte): (usize, u8)| if at == 4 || at == 7 { byte == b'-' } else { byte.is_ascii_digit() };
    version.len() == 10 && version.bytes().enumerate().all(fits)
}
