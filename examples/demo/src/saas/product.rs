//! What tells one SaaS from another: its name, its words, its accounts. Everything else they share.

/// One SaaS as its makers would describe it.
pub struct Product {
    /// What people call it.
    pub name: &'static str,
    /// Its colour, on its pages (CSS).
    pub accent: &'static str,
    /// The path of its API.
    pub path: &'static str,
    /// What the API calls the things it keeps: the member of its answers that lists them.
    pub entries: &'static str,
    /// One of them.
    pub entry: &'static str,
    /// The scope that reads, and what it says on the page that asks.
    pub read: (&'static str, &'static str),
    /// The scope that writes, and the same.
    pub write: (&'static str, &'static str),
    pub(super) accounts: [Account; 2],
    pub(super) cookie: &'static str,
    pub(super) access_prefix: &'static str,
    pub(super) refresh_prefix: &'static str,
}

/// Someone with an account.
#[derive(Clone)]
pub(super) struct Account {
    pub(super) id: &'static str,
    pub(super) label: &'static str,
    pub(super) password: &'static str,
}

/// Notes: short texts, at `/notes`.
pub const NOTES: &Product = &Product {
    name: "Notes",
    accent: "#1c7a4f",
    path: "/notes",
    entries: "notes",
    entry: "note",
    read: ("notes.read", "Read your notes"),
    write: ("notes.write", "Write notes in your name"),
    accounts: [
        Account { id: "acct-1001", label: "alice@notes.example", password: "alice-notes" },
        Account { id: "acct-1002", label: "bob@notes.example", password: "bob-notes" },
    ],
    cookie: "notes_session",
    access_prefix: "notes_at_",
    refresh_prefix: "notes_rt_",
};

/// Calendar: appointments, at `/events`.
pub const CALENDAR: &Product = &Product {
    name: "Calendar",
    accent: "#9a4a12",
    path: "/events",
    entries: "events",
    entry: "appointment",
    read: ("calendar.read", "See your appointments"),
    write: ("calendar.write", "Make appointments in your name"),
    accounts: [
        Account { id: "user-alice", label: "alice@calendar.example", password: "alice-calendar" },
        Account { id: "user-bob", label: "bob@calendar.example", password: "bob-calendar" },
    ],
    cookie: "calendar_session",
    access_prefix: "calendar_at_",
    refresh_prefix: "calendar_rt_",
};

impl Product {
    /// The scopes there are.
    pub fn scopes(&self) -> [&'static str; 2] {
        [self.read.0, self.write.0]
    }

    /// What a scope says on the page that asks.
    pub(super) fn words(&self, scope: &str) -> &'static str {
        let known = [self.read, self.write].into_iter().find(|(name, _)| *name == scope);
        known.map_or("Something this page has no words for", |(_, words)| words)
    }
}
