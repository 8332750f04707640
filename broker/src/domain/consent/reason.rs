//! Why a consent is asked for.

/// Why a consent is asked for; what the caller is told.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ConsentReason {
    /// The user has no connection at this provider.
    NotConnected,
    /// The connection exists, but the provider granted too few scopes.
    ScopesMissing,
    /// The connection exists, but this workload may not use it yet.
    NotApproved,
    /// The provider cannot narrow its token, and it can do more than this workload's approval allows.
    WiderThanApproved,
    /// Several accounts, and none was named.
    ChooseAccount,
    /// The provider ended the connection.
    ReauthRequired,
}

impl ConsentReason {
    /// Every reason.
    pub const ALL: [Self; 6] = [
        Self::NotConnected,
        Self::ScopesMissing,
        Self::NotApproved,
        Self::WiderThanApproved,
        Self::ChooseAccount,
        Self::ReauthRequired,
    ];

    /// As stored and audited.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotConnected => "NOT_CONNECTED",
            Self::ScopesMissing => "SCOPES_MISSING",
            Self::NotApproved => "NOT_APPROVED",
            Self::WiderThanApproved => "WIDER_THAN_APPROVED",
            Self::ChooseAccount => "CHOOSE_ACCOUNT",
            Self::ReauthRequired => "REAUTH_REQUIRED",
        }
    }

    /// Reads what [`Self::as_str`] wrote.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|r| r.as_str() == text)
    }

    /// Whether the provider has to be visited; otherwise the user's yes is enough.
    pub fn needs_provider(self) -> bool {
        matches!(self, Self::NotConnected | Self::ScopesMissing | Self::ReauthRequired)
    }
}
