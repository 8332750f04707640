//! The consent's page, by what is asked and how it stands (CO7, CO11).

use super::{
    super::texts,
    fill::{foreign, plain, quoted, sentence, timed},
    layout::{Frame, csrf},
    outcome, scopes, strangers,
};
use crate::{
    domain::{ConsentReason, ConsentState, consent::Obtained, provider::ScopeSpec},
    usecase::ConsentView,
};
use maud::{Markup, html};

/// Where the forms go, and their tokens.
pub(in crate::transport::web) struct Forms {
    pub(in crate::transport::web) handle: String,
    pub(in crate::transport::web) approve: String,
    pub(in crate::transport::web) decline: String,
    pub(in crate::transport::web) confirm: String,
    pub(in crate::transport::web) reject: String,
}

impl Forms {
    fn action(&self, verb: &str) -> String {
        format!("/consent/{}/{verb}", self.handle)
    }

    pub(super) fn decline(&self, verb: &str, token: &str, label: &str) -> Markup {
        html! {
            form method="post" action=(self.action(verb)) {
                (csrf(token))
                button type="submit" { (label) }
            }
        }
    }
}

/// The page. `here` = this is the browser the consent is bound to, or it is bound to none. `note` = what the provider
/// said about its refusal.
pub(in crate::transport::web) fn consent(
    frame: &Frame,
    view: &ConsentView,
    forms: &Forms,
    here: bool,
    note: Option<&str>,
) -> Markup {
    match &view.consent.state {
        ConsentState::Pending if view.consent.reason == ConsentReason::ChooseAccount => {
            choose(frame, view, forms)
        }
        ConsentState::Pending => ask(frame, view, forms),
        ConsentState::Approved { .. } => left(frame, view, forms),
        ConsentState::Exchanging { .. } => busy(frame, view, forms),
        ConsentState::AwaitingConfirmation { .. } if !here => strangers::other_browser(frame, Some(forms)),
        ConsentState::AwaitingConfirmation { obtained, .. } => confirm(frame, view, forms, obtained),
        ConsentState::Completed { .. } => outcome::done(frame, view),
        ConsentState::Declined { .. } => outcome::declined(frame, view, note),
        ConsentState::Expired { .. } => outcome::expired(frame, view),
        ConsentState::Failed { reason, .. } => outcome::failed(frame, view, *reason, note),
    }
}

/// The names that sentences about a consent use.
pub(super) fn names(view: &ConsentView) -> [(&'static str, &str); 3] {
    let account = view.account.as_ref().map_or("", |account| &account.label);
    [("server", &view.server), ("provider", &view.provider), ("account", account)]
}

fn ask(frame: &Frame, view: &ConsentView, forms: &Forms) -> Markup {
    let names = names(view);
    let title = plain(texts::ASK_TITLE, &names);
    let lead = match view.consent.reason {
        ConsentReason::NotConnected | ConsentReason::ChooseAccount => texts::ASK_LEAD,
        ConsentReason::ScopesMissing => texts::ASK_WIDEN,
        ConsentReason::ReauthRequired => texts::ASK_RECONNECT,
        ConsentReason::NotApproved => texts::ASK_EXISTING,
        ConsentReason::WiderThanApproved => texts::ASK_WIDER,
    };
    let wider = view.consent.reason == ConsentReason::WiderThanApproved;
    frame.page(
        &title,
        html! {
            h1 { (sentence(texts::ASK_TITLE, &names)) }
            @if wider { (notice(html! { p { (sentence(lead, &names)) } })) } @else { p.lead { (sentence(lead, &names)) } }
            (facts(frame, view))
            (says(view))
            h2 { (texts::SCOPES) }
            (scopes::list(&view.scopes))
            (shared(view))
            (after(view))
            div.actions {
                form method="post" action=(forms.action("approve")) {
                    (csrf(&forms.approve))
                    input type="hidden" name="terms" value=(view.consent.terms());
                    button.primary type="submit" { (texts::ALLOW) }
                }
                (forms.decline("decline", &forms.decline, texts::DECLINE))
            }
        },
    )
}

fn choose(frame: &Frame, view: &ConsentView, forms: &Forms) -> Markup {
    let names = names(view);
    let title = plain(texts::CHOOSE_TITLE, &names);
    frame.page(
        &title,
        html! {
            h1 { (sentence(texts::CHOOSE_TITLE, &names)) }
            p.lead { (sentence(texts::CHOOSE_LEAD, &names)) }
            (facts(frame, view))
            (says(view))
            h2 { (texts::SCOPES) }
            (scopes::list(&view.scopes))
            (shared(view))
            @if view.choices.is_empty() {
                (notice(html! { p { (texts::CHOOSE_NONE) } }))
                p { (texts::ASK_AGAIN) }
                div.actions { (forms.decline("decline", &forms.decline, texts::DECLINE)) }
            } @else {
                form method="post" action=(forms.action("approve")) {
                    (csrf(&forms.approve))
                    input type="hidden" name="terms" value=(view.consent.terms());
                    (accounts(view))
                    (after(view))
                    div.actions {
                        button.primary type="submit" { (texts::ALLOW) }
                        button type="submit" form="decline" { (texts::DECLINE) }
                    }
                }
                form method="post" action=(forms.action("decline")) id="decline" { (csrf(&forms.decline)) }
            }
        },
    )
}

fn accounts(view: &ConsentView) -> Markup {
    html! {
        fieldset {
            legend { (sentence(texts::CHOOSE_LEGEND, &names(view))) }
            @for (id, account) in &view.choices {
                label.choice {
                    input type="radio" name="connection" value=(id.as_str()) required;
                    (foreign(&account.label))
                }
            }
        }
    }
}

fn facts(frame: &Frame, view: &ConsentView) -> Markup {
    html! {
        dl.facts {
            div { dt { (texts::WHO_ASKS) } dd { (foreign(&view.server)) } }
            div { dt { (texts::WHERE) } dd { (foreign(&view.provider)) } }
            @if let Some(account) = &view.account {
                div { dt { (texts::WHICH_ACCOUNT) } dd { (foreign(&account.label)) } }
            }
            div { dt { (texts::WHO_YOU_ARE) } dd { (foreign(frame.name())) } }
        }
    }
}

/// The server's own words, marked as such: ours end where its quotation begins.
fn says(view: &ConsentView) -> Markup {
    let (tool, purpose) = (&view.consent.tool, &view.consent.purpose);
    html! {
        @if !tool.is_empty() || !purpose.is_empty() {
            section.says {
                h2 { (sentence(texts::SAYS, &names(view))) }
                blockquote {
                    dl {
                        @for (name, words) in [(texts::TOOL, tool), (texts::PURPOSE, purpose)] {
                            @if !words.is_empty() {
                                div { dt { (name) } dd { (quoted(words)) } }
                            }
                        }
                    }
                }
                p.fine { (texts::SAYS_NOTE) }
            }
        }
    }
}

/// Who will hold what besides, where the provider cannot narrow its token (GR1).
fn shared(view: &ConsentView) -> Markup {
    let names = names(view);
    html! {
        @if !view.held_too.is_empty() {
            (notice(html! { p { (sentence(texts::HELD_TOO, &names)) } (scopes::list(&view.held_too)) }))
        }
        @if !view.also_held_by.is_empty() {
            (notice(html! {
                p { (sentence(texts::ALSO_HELD, &names)) }
                ul { @for server in &view.also_held_by { li { (foreign(server)) } } }
            }))
        }
    }
}

fn after(view: &ConsentView) -> Markup {
    let names = names(view);
    let what = if view.consent.reason.needs_provider() { texts::AFTER_PROVIDER } else { texts::AFTER_HERE };
    html! {
        h2 { (texts::AFTER) }
        p { (sentence(what, &names)) " " (texts::AFTER_UNDO) }
        p.fine { (timed(texts::ENDS, view.consent.expires_at)) }
    }
}

pub(super) fn notice(content: Markup) -> Markup {
    html! {
        div.notice role="note" { p.sign { (texts::NOTICE) } (content) }
    }
}

fn left(frame: &Frame, view: &ConsentView, forms: &Forms) -> Markup {
    let names = names(view);
    let title = plain(texts::LEFT_TITLE, &names);
    frame.page(
        &title,
        html! {
            h1 { (sentence(texts::LEFT_TITLE, &names)) }
            p.lead { (sentence(texts::LEFT, &names)) }
            (facts(frame, view))
            p.fine { (timed(texts::ENDS, view.consent.expires_at)) }
            div.actions {
                form method="post" action=(forms.action("approve")) {
                    (csrf(&forms.approve))
                    input type="hidden" name="terms" value=(view.consent.terms());
                    button.primary type="submit" { (texts::START_AGAIN) }
                }
                (forms.decline("decline", &forms.decline, texts::DECLINE))
            }
        },
    )
}

fn busy(frame: &Frame, view: &ConsentView, forms: &Forms) -> Markup {
    frame.page(
        texts::BUSY_TITLE,
        html! {
            h1 { (texts::BUSY_TITLE) }
            p.lead { (sentence(texts::BUSY, &names(view))) }
            p.actions { a.button.primary href=(format!("/consent/{}", forms.handle)) { (texts::LOOK_AGAIN) } }
        },
    )
}

fn confirm(frame: &Frame, view: &ConsentView, forms: &Forms, obtained: &Obtained) -> Markup {
    let account = &obtained.account;
    let names = [
        ("server", view.server.as_str()),
        ("provider", &view.provider),
        ("account", &account.label),
        ("name", frame.name()),
    ];
    let earlier = view.account.as_ref().filter(|earlier| earlier.id != account.id);
    let split = |granted: bool| -> Vec<ScopeSpec> {
        view.scopes.iter().filter(|spec| obtained.scopes.contains(&spec.scope) == granted).cloned().collect()
    };
    let (granted, missing) = (split(true), split(false));
    frame.page(
        texts::CONFIRM_TITLE,
        html! {
            h1 { (texts::CONFIRM_TITLE) }
            p.lead { (sentence(texts::CONFIRM_LEAD, &names)) }
            @if let Some(earlier) = earlier {
                (notice(html! { p { (sentence(texts::CONFIRM_OTHER, &[("account", &earlier.label)])) } }))
            }
            h2 { (texts::SCOPES) }
            (scopes::list(&granted))
            @if !missing.is_empty() {
                (notice(html! { p { (sentence(texts::CONFIRM_FEWER, &names)) } (scopes::list(&missing)) }))
            }
            @if !view.wider.is_empty() {
                (notice(html! { p { (sentence(texts::CONFIRM_MORE, &names)) } (scopes::list(&view.wider)) }))
            }
            (shared(view))
            @if obtained.refresh.is_none() { (notice(html! { p { (sentence(texts::CONFIRM_SHORT, &names)) } })) }
            p.fine { (sentence(texts::REJECT_NOTE, &names)) " " (timed(texts::ENDS, view.consent.expires_at)) }
            div.actions {
                form method="post" action=(forms.action("confirm")) {
                    (csrf(&forms.confirm))
                    button.primary type="submit" { (texts::CONFIRM) }
                }
                (forms.decline("reject", &forms.reject, texts::REJECT))
            }
        },
    )
}
