//! What went wrong and what to do, by reason.

use super::{
    ASK_AGAIN, EXPIRED, EXPIRED_TITLE, OTHER_BROWSER, OTHER_BROWSER_RESTART, OTHER_BROWSER_TITLE,
    WRONG_PERSON_TITLE,
};
use crate::domain::Reason;

/// What went wrong and what to do, for a person.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::transport::web) struct Explained {
    pub(in crate::transport::web) title: &'static str,
    pub(in crate::transport::web) what: &'static str,
    pub(in crate::transport::web) next: &'static str,
}

const fn told(title: &'static str, what: &'static str, next: &'static str) -> Explained {
    Explained { title, what, next }
}

pub(in crate::transport::web) const BAD_REQUEST: Explained = told(
    "This request cannot be read",
    "Something in it is missing, doubled, too long or of the wrong kind. Nothing was changed.",
    "Go back and try again, or open the link from your assistant once more.",
);
pub(in crate::transport::web) const FOREIGN_FORM: Explained = told(
    "This form is not accepted",
    "It did not come from a page of this broker that was shown in your present session. Nothing was changed.",
    "Open the page again and answer there. If another site or message brought you here, close it.",
);
pub(in crate::transport::web) const SESSION_OVER: Explained = told(
    "You are signed out",
    "Your session ended before this form arrived. Nothing was changed.",
    "Sign in again and repeat the step.",
);
pub(in crate::transport::web) const CALLBACK_WITHOUT_SESSION: Explained = told(
    "You are signed out",
    "Your session ended, or this is another browser than the one you began in. Nothing was stored.",
    "Open the link from your assistant again, in the browser where you began, and sign in.",
);
pub(in crate::transport::web) const CALLBACK_UNKNOWN: Explained = told(
    "Nothing is waiting for this answer",
    "It was used already, or it belongs to no request here. Nothing was stored.",
    "Ask your assistant to do the task again. If something is still missing, it shows a new link.",
);
pub(in crate::transport::web) const SIGN_IN_ELSEWHERE: Explained = told(
    "This sign-in did not begin in this browser",
    "It began elsewhere, took too long, or was used already. You were not signed in.",
    "Open the link from your assistant again. If a message or another site brought you here, close this page.",
);
pub(in crate::transport::web) const SIGNED_OUT_MEANWHILE: Explained = told(
    "You were signed out meanwhile",
    "Your organisation’s sign-in signed you out while this sign-in was under way. You are not signed in here.",
    "Go on to sign in again.",
);

const ASK_ADMIN: &str = "Tell your administrator; only they can mend this.";
const SHORTLY: &str = "Wait a moment and try again.";
const AGAIN: &str = ASK_AGAIN;

/// A reason, in words for people.
pub(in crate::transport::web) const fn explain(reason: Reason) -> Explained {
    match reason {
        Reason::NotFound => told(
            "There is nothing here",
            "The link is not known, or its time is over.",
            "Ask your assistant to do the task again; it gets a new link.",
        ),
        Reason::InvalidArgument => BAD_REQUEST,
        Reason::Conflict | Reason::RequestIdReused | Reason::RequestIdStale => told(
            "This changed meanwhile",
            "It was answered or changed at the same time.",
            "Look at how it stands now.",
        ),
        Reason::Revoked => told("This was ended", "What it relies on was withdrawn meanwhile.", AGAIN),
        Reason::Blocked => told(
            "This is blocked",
            "An administrator has blocked your account, this server or this service.",
            "If you think that is a mistake, ask your administrator.",
        ),
        Reason::PolicyDenied
        | Reason::RoleMissing
        | Reason::MethodNotAllowed
        | Reason::TokenOutlivesGrant => told(
            "This is not allowed",
            "Your organisation’s rules do not allow it.",
            "If you need it, ask your administrator.",
        ),
        Reason::PolicyError | Reason::KeyUnavailable | Reason::ProviderClientRejected => told(
            "The broker is not set up correctly",
            "A part of its configuration does not work.",
            ASK_ADMIN,
        ),
        Reason::IssuerUnknown => told(
            "You cannot sign in here",
            "No sign-in is set up for the people this page is for.",
            ASK_ADMIN,
        ),
        Reason::IssuerUnavailable => told(
            "Sign-in is not available",
            "Your organisation’s sign-in does not answer at the moment.",
            SHORTLY,
        ),
        Reason::AssertionMissing
        | Reason::AssertionInvalid
        | Reason::AssertionExpired
        | Reason::AssertionReplayed
        | Reason::AssertionAudience
        | Reason::WorkloadCredentialMissing
        | Reason::WorkloadCredentialInvalid => told(
            "You are not signed in",
            "Your organisation’s sign-in sent an answer that cannot be accepted.",
            "Try to sign in again. If this happens again, tell your administrator.",
        ),
        Reason::ProviderUnknown | Reason::ScopeUnknown => {
            told("This service is not set up", "It was removed from the broker’s configuration.", ASK_ADMIN)
        }
        Reason::ProviderUnavailable => told(
            "The service did not answer",
            "It sent no answer, or one that could not be understood.",
            AGAIN,
        ),
        Reason::ProviderRateLimited => told(
            "The service asks for patience",
            "It received too many requests.",
            "Wait a few minutes, then ask your assistant again.",
        ),
        Reason::ProviderGrantRejected => {
            told("The service refused", "It did not accept what it had granted before.", AGAIN)
        }
        Reason::AuditUnavailable
        | Reason::StoreUnavailable
        | Reason::Overloaded
        | Reason::DeadlineExceeded => {
            told("The broker is busy", "It could not record this step, so it did not take it.", SHORTLY)
        }
        Reason::RecordQuarantined => told(
            "A stored record is damaged",
            "The broker does not use a record that fails its check. Nothing was changed.",
            "Tell your administrator, then connect again.",
        ),
        Reason::RateLimited => told("Too many requests", "They came too fast.", SHORTLY),
        Reason::TooManyConsents => told(
            "Too many open requests",
            "You have not finished several earlier ones.",
            "Finish them, or wait until they end.",
        ),
        Reason::ConsentDeclined => told("Declined", "The request was declined.", AGAIN),
        Reason::ConsentExpired => told(EXPIRED_TITLE, EXPIRED, AGAIN),
        Reason::ConsentUserMismatch => told(
            WRONG_PERSON_TITLE,
            "It works only for the person it was made for.",
            "If it is yours, sign in with the right account.",
        ),
        Reason::ConsentOtherBrowser => told(OTHER_BROWSER_TITLE, OTHER_BROWSER, OTHER_BROWSER_RESTART),
        Reason::ConsentIssuerMismatch => told(
            "The answer came from the wrong place",
            "Another party than the service you chose sent the answer, so it was not used.",
            "Ask your assistant again. If this happens twice, tell your administrator.",
        ),
        Reason::ConsentScopesReduced => told(
            "Too little was granted",
            "The service granted none of what was asked for, or less than your connection has already. What you had stays as it is.",
            "Ask your assistant again, and leave the permissions ticked that you have given before.",
        ),
        Reason::ConsentAccountChanged => told(
            "This is a different account",
            "Another account was used at the service than before, so nothing was changed.",
            "Ask your assistant again and choose the same account at the service.",
        ),
        Reason::Internal => told(
            "Something went wrong",
            "The fault is the broker’s. Nothing more is known here.",
            "Try again. If it happens again, tell your administrator.",
        ),
    }
}

/// Whether the words for a reason say by themselves how to ask again, so that a page need not.
pub(in crate::transport::web) fn says_how_to_ask_again(reason: Reason) -> bool {
    explain(reason).next == ASK_AGAIN
        || matches!(
            reason,
            Reason::ProviderRateLimited
                | Reason::ConsentIssuerMismatch
                | Reason::ConsentScopesReduced
                | Reason::ConsentAccountChanged
        )
}
