//! Every sentence people read on the pages, in one place for whoever translates them. `{name}` marks what is filled in.

mod explained;

pub(super) use explained::*;

use crate::{
    domain::{ConnectionState, ConsentReason, provider::ScopeAccess},
    usecase::Standing,
};
use time::{format_description::BorrowedFormatItem, macros::format_description};

pub(super) const LANGUAGE: &str = "en";
pub(super) const PRODUCT: &str = "Token broker";
pub(super) const FOOTER: &str = "This page never asks for a password. You sign in only at your organisation and at the service you connect.";
pub(super) const SIGNED_IN_AS: &str = "Signed in as {name}";
pub(super) const SIGN_OUT: &str = "Sign out";
pub(super) const YOUR_CONNECTIONS: &str = "Your connections";
pub(super) const SEE_CONNECTIONS: &str = "See your connections";
pub(super) const GO_ON: &str = "Continue";
pub(super) const REFERENCE: &str = "Reference for your administrator:";
pub(super) const CLOSE: &str = "You can close this page and go back to your assistant.";
pub(super) const ASK_AGAIN: &str =
    "To try again, ask your assistant to do the task once more. It gets a new link.";
pub(super) const QUOTES: (&str, &str) = ("“", "”");
/// A point in time, in UTC.
pub(super) const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[day padding:none] [month repr:long] [year], [hour]:[minute] UTC");
pub(super) const ENDS: &str = "This request ends at {time}.";

// Asking.
pub(super) const ASK_TITLE: &str = "Allow {server} to use {provider}?";
pub(super) const ASK_LEAD: &str = "{server} asks to use {provider} in your name.";
pub(super) const ASK_WIDEN: &str = "{server} needs more than your connection to {provider} allows so far. It stays as it is until you have agreed.";
pub(super) const ASK_RECONNECT: &str = "{provider} has ended your connection. {server} needs it again.";
pub(super) const ASK_EXISTING: &str =
    "You have connected {provider} as {account} already. {server} asks to use this connection too.";
pub(super) const ASK_WIDER: &str = "You have connected {provider} as {account}. {provider} cannot hand out a smaller key, so {server} would get one that can do everything in this list, even if it asked for less.";
pub(super) const CHOOSE_TITLE: &str = "Which {provider} account may {server} use?";
pub(super) const CHOOSE_LEAD: &str =
    "You have connected several accounts. {server} will use the one you choose.";
pub(super) const CHOOSE_LEGEND: &str = "Account at {provider}";
pub(super) const CHOOSE_NONE: &str = "None of your accounts is connected any more.";
pub(super) const WHO_ASKS: &str = "Who asks";
pub(super) const WHERE: &str = "For what";
pub(super) const WHICH_ACCOUNT: &str = "Account";
pub(super) const WHO_YOU_ARE: &str = "You";
pub(super) const SAYS: &str = "{server} says";
pub(super) const SAYS_NOTE: &str = "These are the server’s own words. Nobody has checked them.";
pub(super) const TOOL: &str = "Tool";
pub(super) const PURPOSE: &str = "Purpose";
pub(super) const SCOPES: &str = "What it may do";
pub(super) const HELD_TOO: &str =
    "{provider} cannot hand out a smaller key, so {server} will hold one that can also:";
pub(super) const ALSO_HELD: &str = "These servers will also hold a token with these permissions, because {provider} cannot hand out a smaller key:";
pub(super) const AFTER: &str = "What happens if you allow it";
pub(super) const AFTER_PROVIDER: &str = "You go on to {provider} and agree there. Then you come back here and check the account before anything is connected.";
pub(super) const AFTER_HERE: &str =
    "{server} may use this connection from now on. Nothing changes at {provider}.";
pub(super) const AFTER_UNDO: &str = "You can end it at any time under “Your connections”.";
pub(super) const ALLOW: &str = "Allow";
pub(super) const DECLINE: &str = "Decline";
pub(super) const LEFT_TITLE: &str = "Continue at {provider}";
pub(super) const LEFT: &str = "You allowed this and went on to {provider}. Finish there in the same browser. If that page is gone, start again.";
pub(super) const START_AGAIN: &str = "Start again at the provider";
pub(super) const BUSY_TITLE: &str = "One moment";
pub(super) const BUSY: &str =
    "{provider} has answered and the connection is being made. This takes a few seconds.";
pub(super) const LOOK_AGAIN: &str = "Look again";

// Confirming.
pub(super) const CONFIRM_TITLE: &str = "Is this the right account?";
pub(super) const CONFIRM_LEAD: &str =
    "The {provider} account {account} will be attached to you, {name}. Then {server} may use it.";
pub(super) const CONFIRM_OTHER: &str = "This is a different account from the one you connected before, {account}. The earlier connection stays as it is.";
pub(super) const CONFIRM_FEWER: &str =
    "{provider} granted less than was asked for. {server} will not be able to:";
pub(super) const CONFIRM_MORE: &str =
    "{provider} granted more than {server} asked for. The stored key could also:";
pub(super) const CONFIRM_SHORT: &str =
    "{provider} gave no way to renew this access. You will be asked again when it ends.";
pub(super) const CONFIRM: &str = "Attach this account";
pub(super) const REJECT: &str = "Do not attach it";
pub(super) const REJECT_NOTE: &str = "If you do not attach it, what {provider} granted is given back.";
pub(super) const NOTICE: &str = "Please note";

// Outcomes.
pub(super) const DONE_TITLE: &str = "Done";
pub(super) const DONE: &str = "{server} may now use {provider} in your name.";
pub(super) const DONE_AS: &str = "{server} may now use {provider} as {account}.";
pub(super) const DECLINED_TITLE: &str = "Declined";
pub(super) const DECLINED: &str = "{server} may not use {provider}. Nothing was connected.";
pub(super) const EXPIRED_TITLE: &str = "This request has ended";
pub(super) const EXPIRED: &str = "Nobody finished it in time, so nothing was connected.";
pub(super) const FAILED_TITLE: &str = "This did not work";
pub(super) const FAILED: &str = "{provider} was not connected.";
pub(super) const PROVIDER_SAID: &str = "{provider} says";

// Several at once.
pub(super) const ALL_TITLE: &str = "{server} needs several connections";
pub(super) const ALL_LEAD: &str =
    "Each is asked about on its own page, and you can decline any of them. You come back here after each.";
pub(super) const ONE_TITLE: &str = "{server} needs a connection";
pub(super) const ONE_LEAD: &str =
    "It is asked about on its own page, and you can decline it there. You come back here afterwards.";
pub(super) const ALL_PROGRESS: &str = "{done} of {all} done";
pub(super) const ALL_NOTE: &str = "{server} needs all of them for this task.";
pub(super) const ALL_DONE_TITLE: &str = "All done";
pub(super) const ALL_DONE: &str = "{server} has everything it asked for.";
pub(super) const ALL_STOPPED_TITLE: &str = "Not everything was connected";
pub(super) const ALL_STOPPED: &str = "{server} needs all of these for its task. What is connected stays connected, and you can disconnect it at any time.";
pub(super) const ALL_EXPIRED: &str = "Nobody finished all of it in time. What is connected stays connected.";
pub(super) const BACK_TO_ALL: &str = "Back to the other connections";
pub(super) const NEXT_ONE: &str = "Continue with {provider}";
pub(super) const OPEN_ONE: &str = "Do {provider} first";

/// How one of several stands.
pub(super) const fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Open => "Missing",
        Standing::Begun => "Begun",
        Standing::Done => "Connected",
        Standing::Declined => "Declined",
        Standing::Expired => "Expired",
        Standing::Failed => "Failed",
    }
}

/// What one of several asks for.
pub(super) const fn step(reason: ConsentReason) -> &'static str {
    match reason {
        ConsentReason::NotConnected => "To be connected",
        ConsentReason::ScopesMissing => "Connected, but more access is needed",
        ConsentReason::NotApproved => "Connected, but not for this server",
        ConsentReason::WiderThanApproved => "Connected, but the service can only give more than you allowed",
        ConsentReason::ChooseAccount => "Several accounts are connected; choose one",
        ConsentReason::ReauthRequired => "The connection has ended and has to be made again",
    }
}

// Other people, other browsers.
pub(super) const WRONG_PERSON_TITLE: &str = "This link is not for this account";
pub(super) const WRONG_PERSON: &str =
    "It works only for the person it was made for. You are signed in as {name}.";
pub(super) const WRONG_PERSON_NEXT: &str = "If it is yours, sign in with the right account. If somebody sent it to you, close this page and tell them that it cannot be used by anybody else.";
pub(super) const SWITCH: &str = "Switch account";
pub(super) const OTHER_BROWSER_TITLE: &str = "Continue in the browser where you began";
pub(super) const OTHER_BROWSER: &str = "This began in another browser or on another device. To keep it safe, it has to end there. Nothing was stored here.";
pub(super) const OTHER_BROWSER_NEXT: &str =
    "Go back to that browser. If it is gone, decline, and ask your assistant again for a new link.";
pub(super) const OTHER_BROWSER_RESTART: &str =
    "Go back to that browser, or open the link from your assistant again and start over here.";

// Leaving and signing in.
pub(super) const LEAVING_TITLE: &str = "Taking you to {host}";
pub(super) const LEAVING: &str = "If nothing happens, use this link.";
pub(super) const LEAVE: &str = "Continue to {host}";
pub(super) const REALM_TITLE: &str = "Sign in";
pub(super) const REALM_LEAD: &str = "Choose where you sign in.";
pub(super) const SIGN_IN_FAILED_TITLE: &str = "You are not signed in";
pub(super) const SIGN_IN_FAILED: &str = "Your organisation’s sign-in ended without a result.";
pub(super) const SIGN_IN_SAID: &str = "The sign-in says";
pub(super) const TRY_AGAIN: &str = "Try again";
pub(super) const SIGNED_OUT_TITLE: &str = "Signed out";
pub(super) const SIGNED_OUT: &str =
    "You are signed out here. Your connections stay. You may still be signed in at your organisation.";
pub(super) const SIGN_IN: &str = "Sign in";

// Connections.
pub(super) const CONNECTIONS_LEAD: &str = "Services that tool servers may use in your name.";
pub(super) const CONNECTIONS_NONE: &str =
    "Nothing is connected. When a tool server needs a service, your assistant shows you a link.";
pub(super) const STATE: &str = "State";
pub(super) const CONNECTED: &str = "Connected";
pub(super) const LAST_USED: &str = "Last used";
pub(super) const NEVER: &str = "Never";
pub(super) const CONNECT_AGAIN_BEFORE: &str = "Connect again before";
pub(super) const MAY_USE: &str = "Who may use it";
pub(super) const NOBODY: &str = "No tool server may use it at the moment.";
pub(super) const DISCONNECT: &str = "Disconnect";
pub(super) const DISCONNECT_ONE: &str = "Disconnect {provider}, {account}";
pub(super) const DISCONNECT_TITLE: &str = "Disconnect {provider}?";
pub(super) const DISCONNECT_LEAD: &str =
    "Your connection to {provider} as {account} ends at once. These servers can no longer use it:";
pub(super) const DISCONNECT_NOBODY: &str = "Your connection to {provider} as {account} ends at once.";
pub(super) const DISCONNECT_THEN: &str =
    "The broker also asks {provider} to end the access. If a server needs it again, you are asked again.";
pub(super) const KEEP: &str = "Keep it";
pub(super) const DISCONNECTED_TITLE: &str = "Disconnected";
pub(super) const DISCONNECTED: &str =
    "From now on the broker gives nobody access to {provider} as {account}.";
pub(super) const AT_PROVIDER_REVOKED: &str = "{provider} confirmed that the access has ended there too.";
pub(super) const AT_PROVIDER_UNSUPPORTED: &str = "{provider} offers no way to end access from here. You can end it in your account settings at {provider}.";
pub(super) const AT_PROVIDER_RETRY: &str =
    "{provider} could not be told yet. The broker goes on trying until it is.";
pub(super) const OUTSTANDING: &str = "Access that was handed out before may go on working until {time}.";
pub(super) const OUTSTANDING_UNKNOWN: &str =
    "Access that was handed out before may go on working; {provider} does not say until when.";

/// A scope's badge.
pub(super) const fn access(access: ScopeAccess) -> &'static str {
    match access {
        ScopeAccess::Read => "Read",
        ScopeAccess::Write => "Write",
    }
}

/// A connection's state.
pub(super) const fn state(state: ConnectionState) -> &'static str {
    match state {
        ConnectionState::Active => "Working",
        ConnectionState::ReauthRequired => "Ended by the service; you will be asked to connect again",
        ConnectionState::Suspended => "Switched off by an administrator",
        ConnectionState::Revoked => "Disconnected",
    }
}
