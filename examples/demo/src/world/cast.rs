//! Who takes part: the people, the tool servers, the systems they are connected to.

use crate::sso::User;

/// Notes, as the broker's configuration names it.
pub const PROVIDER: &str = "notes";

/// Calendar, as the broker's configuration names it.
pub const CALENDAR: &str = "calendar";

/// The audience of assertions with which auditors and administrators call the broker itself.
pub const OPERATORS_AUDIENCE: &str = "token-broker-operators";

/// A name and a password for one login form.
#[derive(Clone, Copy)]
pub struct Account {
    /// What is typed as the name.
    pub name: &'static str,
    /// What is typed as the password.
    pub password: &'static str,
}

/// Somebody with a sign-in at the SSO and accounts at Notes and Calendar.
#[derive(Clone, Copy)]
pub struct Person {
    /// At the SSO.
    pub sso: Account,
    /// At Notes.
    pub notes: Account,
    /// At Calendar.
    pub calendar: Account,
}

/// alice, who may use Notes through both tool servers and Calendar through one.
pub const ALICE: Person = Person {
    sso: Account { name: "alice", password: "wonderland" },
    notes: Account { name: "alice@notes.example", password: "alice-notes" },
    calendar: Account { name: "alice@calendar.example", password: "alice-calendar" },
};

/// bob, who may do the same with his own accounts.
pub const BOB: Person = Person {
    sso: Account { name: "bob", password: "builder" },
    notes: Account { name: "bob@notes.example", password: "bob-notes" },
    calendar: Account { name: "bob@calendar.example", password: "bob-calendar" },
};

/// An auditor's sign-in at the SSO: may read the audit log.
pub const AUDITOR: Account = Account { name: "auditor", password: "reads-the-log" };

/// An administrator's sign-in at the SSO: may revoke, block and read the audit log.
pub const ADMIN: Account = Account { name: "admin", password: "runs-the-broker" };

/// The SSO's users beside alice and bob.
pub(super) fn operators() -> [User; 2] {
    let user = |account: Account, sub: &str, name: &str, role: &str| User {
        username: account.name.to_owned(),
        password: account.password.to_owned(),
        sub: sub.to_owned(),
        name: name.to_owned(),
        email: format!("{}@company.example", account.name),
        roles: vec![role.to_owned()],
        acr: "urn:company:acr:password".to_owned(),
    };
    [
        user(AUDITOR, "u-2b90d4e6f1", "Audit Team", "broker-auditor"),
        user(ADMIN, "u-91c3a7550d", "Platform Team", "broker-admin"),
    ]
}

/// A tool server that the broker's configuration declares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workload {
    /// `ticket-helper`, "Ticket helper".
    TicketHelper,
    /// `report-writer`, "Report writer".
    ReportWriter,
}

impl Workload {
    /// Both.
    pub const ALL: [Workload; 2] = [Workload::TicketHelper, Workload::ReportWriter];

    /// The id in the configuration and the audit log.
    pub fn id(self) -> &'static str {
        match self {
            Workload::TicketHelper => "ticket-helper",
            Workload::ReportWriter => "report-writer",
        }
    }

    /// What people read on consent pages.
    pub fn display_name(self) -> &'static str {
        match self {
            Workload::TicketHelper => "Ticket helper",
            Workload::ReportWriter => "Report writer",
        }
    }

    /// The audience of assertions minted for it: its own resource URI (RFC 8707).
    pub fn audience(self) -> &'static str {
        match self {
            Workload::TicketHelper => "https://ticket-helper.company.example/mcp",
            Workload::ReportWriter => "https://report-writer.company.example/mcp",
        }
    }

    /// The subject of the token that the company's cluster projects for it; its audience is `token-broker`.
    pub fn service_account(self) -> &'static str {
        match self {
            Workload::TicketHelper => "system:serviceaccount:tools:ticket-helper",
            Workload::ReportWriter => "system:serviceaccount:tools:report-writer",
        }
    }
}
