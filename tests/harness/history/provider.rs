//! What the provider was asked: one call per refresh token, unless what came of an earlier one was lost before it was sent again (RF1).

use super::asked::Answer;
use super::explained::Explained;
use super::recorded::ProviderEvent;
use super::{Broken, History, Rule};

pub(super) fn one_call(history: &History) -> Vec<Broken> {
    let explained = Explained::of(history);
    let mut broken: Vec<Broken> = explained.odd.iter().map(|what| Rule::OneCall.broken(what)).collect();
    for (number, call) in explained.calls.iter().enumerate() {
        let earlier = explained.calls.iter().enumerate().take(number);
        let same = earlier.filter(|(_, earlier)| earlier.token == call.token);
        // Where nothing was replaced the same token is good for the next refresh.
        for (first, spent) in same.filter(|(_, earlier)| earlier.answer != Answer::Kept) {
            if explained.excuse(first, call.at).is_none() {
                let maker = explained.maker(first);
                let connection = maker.map_or("somebody's connection", |maker| maker.connection);
                let what = format!(
                    "{connection}: {call:?} came although the answer of {spent:?} to {maker:?} was not lost"
                );
                broken.push(Rule::OneCall.broken(what));
            }
        }
    }
    for happened in &history.provider {
        if let ProviderEvent::RefreshRefused { family: None, .. } = happened.event {
            broken.push(Rule::OneCall.broken("a refresh token was presented that nobody issued"));
        }
    }
    broken
}
