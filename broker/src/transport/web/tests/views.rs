//! Views made by hand, one for every page.

use crate::{
    domain::{
        AccessToken, Account, ConnectionId, ConnectionState, Consent, ConsentId, ConsentReason, ConsentState,
        PkceVerifier, ProviderId, RealmId, Reason, RefreshToken, Scope, ScopeSet, Sealed, Subject, TenantId,
        Timestamp, WorkloadId,
        consent::Obtained,
        provider::{ScopeAccess, ScopeSpec},
    },
    keys::testing::SeededRng,
    transport::web::{
        pages::{self, Approved, Forms, Frame, Listing, SignedIn},
        texts,
    },
    usecase::{AtProvider, ConsentView, Disconnected, ParentView, Standing, Step},
};
use maud::Markup;
use std::time::Duration;

/// What others may have written.
#[derive(Clone, Copy)]
pub(super) struct Words {
    pub(super) person: &'static str,
    pub(super) server: &'static str,
    pub(super) provider: &'static str,
    pub(super) account: &'static str,
    pub(super) tool: &'static str,
    pub(super) purpose: &'static str,
    pub(super) note: &'static str,
    pub(super) scope: &'static str,
}

pub(super) const PLAIN: Words = Words {
    person: "alice@acme.example",
    server: "Meeting assistant",
    provider: "Acme Notes",
    account: "alice-w",
    tool: "summarise_notes",
    purpose: "Summarise this week’s meeting notes",
    note: "The user cancelled the request",
    scope: "Read your notes and the folders they are in",
};

const NOW: Timestamp = Timestamp::from_unix_seconds(1_795_247_756);

pub(super) fn frame(words: Words) -> Frame {
    Frame { signed_in: Some(SignedIn { name: words.person.into(), logout: "logout-token".into() }) }
}

pub(super) fn forms() -> Forms {
    Forms {
        handle: "h".repeat(43),
        approve: "approve-token".into(),
        decline: "decline-token".into(),
        confirm: "confirm-token".into(),
        reject: "reject-token".into(),
    }
}

fn scope(name: &str, description: &str, access: ScopeAccess) -> ScopeSpec {
    ScopeSpec { scope: Scope::parse(name).unwrap(), description: description.to_owned(), access }
}

fn scopes(words: Words) -> Vec<ScopeSpec> {
    vec![
        scope("notes.read", words.scope, ScopeAccess::Read),
        scope("notes.write", "Write, change and delete your notes", ScopeAccess::Write),
    ]
}

fn account(words: Words) -> Account {
    Account { id: "u-1".into(), label: words.account.to_owned() }
}

/// A consent's view in some state.
pub(super) fn view(words: Words, reason: ConsentReason, state: ConsentState) -> ConsentView {
    let rng = SeededRng::default();
    let asked = ScopeSet::parse(["notes.read", "notes.write"]).unwrap();
    let existing = !matches!(reason, ConsentReason::NotConnected | ConsentReason::ChooseAccount);
    let choices = ["alice-w", words.account].map(|label| {
        let account = Account { id: label.to_owned(), label: label.to_owned() };
        (ConnectionId::random(&rng), account)
    });
    ConsentView {
        consent: Consent {
            id: ConsentId::random(&rng),
            subject: Subject {
                tenant: TenantId::parse("acme").unwrap(),
                realm: RealmId::parse("staff").unwrap(),
                id: "1001".into(),
            },
            workload: WorkloadId::parse("meeting-assistant").unwrap(),
            provider: ProviderId::parse("notes").unwrap(),
            connection: existing.then(|| ConnectionId::random(&rng)),
            reason,
            scopes: asked.clone(),
            provider_scopes: asked,
            tool: words.tool.into(),
            purpose: words.purpose.into(),
            created_at: NOW,
            expires_at: NOW.plus(Duration::from_secs(600)),
            version: 1,
            born_epoch: 0,
            mismatches: 0,
            state,
            leftover: crate::domain::consent::Leftover::default(),
        },
        server: words.server.into(),
        provider: words.provider.into(),
        scopes: scopes(words),
        wider: Vec::new(),
        held_too: Vec::new(),
        parent: None,
        also_held_by: Vec::new(),
        account: existing.then(|| account(words)),
        choices: if reason == ConsentReason::ChooseAccount { choices.to_vec() } else { Vec::new() },
    }
}

fn obtained(words: Words, granted: &[&str], refresh: bool) -> ConsentState {
    ConsentState::AwaitingConfirmation {
        state_hash: [1; 32],
        browser_hash: [2; 32],
        obtained: Box::new(Obtained {
            account: Account { id: "u-2".into(), label: words.account.to_owned() },
            scopes: ScopeSet::parse(granted).unwrap(),
            refresh: refresh.then(|| Sealed::<RefreshToken>::from_envelope(vec![1])),
            access: Sealed::<AccessToken>::from_envelope(vec![1]),
            access_expires_at: None,
        }),
    }
}

fn approved() -> ConsentState {
    let verifier = Sealed::<PkceVerifier>::from_envelope(vec![1]);
    ConsentState::Approved { state_hash: [1; 32], browser_hash: [2; 32], verifier }
}

fn listing(words: Words, state: ConnectionState, used: bool) -> Listing {
    Listing {
        id: ConnectionId::random(&SeededRng::default()),
        provider: words.provider.into(),
        account: words.account.into(),
        state,
        approvals: if used {
            vec![Approved { server: words.server.into(), scopes: scopes(words) }]
        } else {
            Vec::new()
        },
        connected_at: NOW,
        ends_at: used.then_some(NOW),
        last_used_at: used.then_some(NOW),
    }
}

/// Every page by name.
pub(super) fn every_page(words: Words) -> Vec<(String, Markup)> {
    let mut pages = consent_pages(words);
    let frame = frame(words);
    let lists = [
        listing(words, ConnectionState::Active, true),
        listing(words, ConnectionState::ReauthRequired, false),
    ];
    let url = url::Url::parse("https://notes.example/authorize?client_id=broker&state=s").unwrap();
    let realm = RealmId::parse("staff").unwrap();
    let mut put = |name: &str, page| pages.push((name.to_owned(), page));
    for (name, view) in parents(words) {
        put(name, pages::parent(&frame, &view, "/consents/handle"));
    }
    put("wrong-person", pages::wrong_person(&frame, "/connections", "token"));
    put("other-browser-at-callback", pages::other_browser(&frame, None));
    put("leaving", pages::to_provider(&url));
    put("leaving-to-sign-in", pages::to_sign_in(&url));
    put("choose-realm", pages::choose_realm(&[&realm, &realm], "/connections"));
    put("sign-in-failed", pages::sign_in_failed(Some(words.note), "/connections"));
    put("signed-out", pages::signed_out());
    put("connections", pages::connections(&frame, &lists));
    put("connections-none", pages::connections(&frame, &[]));
    put("disconnect", pages::ask_disconnect(&frame, &lists[0], "token"));
    put("disconnect-unused", pages::ask_disconnect(&frame, &lists[1], "token"));
    for at_provider in [AtProvider::Revoked, AtProvider::Unsupported, AtProvider::FailedWillRetry] {
        for outstanding_until in [None, Some(NOW)] {
            let ended = Disconnected {
                at_provider,
                outstanding_until,
                never_ends: outstanding_until.is_none() && at_provider != AtProvider::Revoked,
            };
            let name = format!("disconnected-{}-{}", at_provider.as_str(), outstanding_until.is_some());
            put(&name, pages::disconnected(&frame, &lists[0], &ended));
        }
    }
    for reason in Reason::ALL {
        let name = format!("error-{}", reason.as_str());
        put(&name, pages::error(texts::explain(*reason), Some("/connections"), &"0".repeat(32)));
    }
    pages
}

/// A parent page in every state, with a line in every state.
fn parents(words: Words) -> Vec<(&'static str, ParentView)> {
    use Standing::{Begun, Declined, Done, Expired, Failed, Open};
    let step = |(reason, standing)| Step {
        provider: words.provider.to_owned(),
        reason,
        scopes: vec![scope("notes.read", words.scope, ScopeAccess::Read)],
        standing,
        handle: "h".repeat(43),
    };
    let page = |standings: &[Standing], is_over| ParentView {
        server: words.server.to_owned(),
        steps: ConsentReason::ALL.into_iter().zip(standings.iter().copied()).map(step).collect(),
        expires_at: NOW,
        is_over,
    };
    vec![
        ("parent", page(&[Done, Declined, Begun, Open, Expired, Failed], false)),
        ("parent-fresh", page(&[Open; 6], false)),
        ("parent-one", page(&[Open], false)),
        ("parent-done", page(&[Done, Done], false)),
        ("parent-stopped", page(&[Done, Declined, Failed], false)),
        ("parent-over", page(&[Done, Expired], true)),
    ]
}

fn consent_pages(words: Words) -> Vec<(String, Markup)> {
    let mut pages = Vec::new();
    let mut put = |name: String, view: &ConsentView, here| {
        pages.push((name, pages::consent(&frame(words), view, &forms(), here, Some(words.note))));
    };
    for reason in ConsentReason::ALL {
        put(format!("ask-{}", reason.as_str()), &view(words, reason, ConsentState::Pending), true);
    }
    let none = ConsentView {
        choices: Vec::new(),
        ..view(words, ConsentReason::ChooseAccount, ConsentState::Pending)
    };
    put("choose-none".into(), &none, true);
    let completed =
        ConsentState::Completed { connection: ConnectionId::random(&SeededRng::default()), state_hash: None };
    let failed = ConsentState::Failed { reason: Reason::ProviderUnavailable, state_hash: None };
    let whole = obtained(words, &["notes.read", "notes.write"], true);
    let states = [
        ("left", approved()),
        ("busy", ConsentState::Exchanging { state_hash: [1; 32], browser_hash: [2; 32] }),
        ("confirm", whole.clone()),
        ("done", completed),
        ("declined", ConsentState::Declined { state_hash: None }),
        ("expired", ConsentState::Expired { state_hash: None }),
        ("failed", failed),
    ];
    for (name, state) in states {
        put(name.into(), &view(words, ConsentReason::NotConnected, state), true);
    }
    let one_of_several = ConsentView {
        parent: Some("h".repeat(43)),
        ..view(words, ConsentReason::NotConnected, ConsentState::Declined { state_hash: None })
    };
    put("declined-one-of-several".into(), &one_of_several, true);
    put("other-browser".into(), &view(words, ConsentReason::NotConnected, whole), false);
    let mut poor =
        view(words, ConsentReason::ReauthRequired, obtained(words, &["notes.read", "admin"], false));
    poor.wider = vec![scope("admin", "admin", ScopeAccess::Write)];
    put("confirm-with-notices".into(), &poor, true);
    let shared = |reason, state| ConsentView {
        held_too: vec![scope("admin", words.scope, ScopeAccess::Write)],
        also_held_by: vec![words.server.into(), "Report writer".into()],
        ..view(words, reason, state)
    };
    put("ask-shared".into(), &shared(ConsentReason::ScopesMissing, ConsentState::Pending), true);
    put("choose-shared".into(), &shared(ConsentReason::ChooseAccount, ConsentState::Pending), true);
    let whole = obtained(words, &["notes.read", "notes.write"], true);
    put("confirm-shared".into(), &shared(ConsentReason::ScopesMissing, whole), true);
    pages
}
