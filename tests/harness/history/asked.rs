//! Refreshes as the provider has them: which token came, and what it did.

use super::recorded::{Happened, ProviderEvent};

/// A refresh token that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Asked {
    /// Among everything that happened there.
    pub(super) number: usize,
    pub(super) at: i64,
    pub(super) token: Token,
    pub(super) answer: Answer,
    /// The answer never left the provider.
    pub(super) lost: bool,
}

/// A family, and its generation as the provider counts them.
pub(super) type Token = (u64, u32);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// The token stays good.
    Kept,
    /// Another one takes its place.
    Replaced,
    Refused,
}

/// Everything that came, in order, and what cannot have been lost.
pub(super) fn asked(events: &[Happened]) -> (Vec<Asked>, Vec<String>) {
    let (mut all, mut odd) = (Vec::<Asked>::new(), Vec::new());
    for (number, Happened { at, event }) in events.iter().enumerate() {
        if let ProviderEvent::ReplyLost { family, generation } = event {
            let answered = all.iter_mut().rev().find(|call| call.token == (*family, *generation));
            match answered {
                Some(call) => call.lost = true,
                None => odd.push(format!("an answer was lost that nobody gave: {event:?}")),
            }
        }
        let Some(token) = presented(event) else { continue };
        let answer = match event {
            ProviderEvent::Refreshed { generation, issued, .. } if issued > generation => Answer::Replaced,
            ProviderEvent::Refreshed { .. } => Answer::Kept,
            _ => Answer::Refused,
        };
        all.push(Asked { number, at: *at, token, answer, lost: false });
    }
    (all, odd)
}

/// The refresh token that came, where it is known.
pub(super) fn presented(event: &ProviderEvent) -> Option<Token> {
    match event {
        ProviderEvent::Refreshed { family, generation, .. }
        | ProviderEvent::ReuseDetected { family, generation }
        | ProviderEvent::RefreshRefused { family: Some(family), generation: Some(generation) } => {
            Some((*family, *generation))
        }
        _ => None,
    }
}
