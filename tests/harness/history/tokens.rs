//! What the database holds in the end: the provider's last word, or a connection that says it needs its owner (RF4, RF11).

use std::collections::HashSet;

use demo::saas::RevokedKind;

use super::asked::{Answer, presented};
use super::explained::Explained;
use super::recorded::{Happened, Presented, ProviderEvent, Row};
use super::{Broken, History, Probe, Rule};

pub(super) fn last_tokens(history: &History) -> Vec<Broken> {
    let explained = Explained::of(history);
    let said: HashSet<&str> = history
        .log
        .iter()
        .filter(|row| row.kind == "connection.reauth_required")
        .map(|row| row.text("/connection"))
        .collect();
    let mut broken = Vec::new();
    for probe in &history.probes {
        let state = history.connections.get(&probe.connection).map_or("", |found| found.state.as_str());
        let wrong = match (state, probe.presented) {
            ("active", Some(token)) => {
                stale(history, probe, token, &explained).or_else(|| dead(history, probe, token, &explained))
            }
            ("active", None) => Some("it is active and there is nothing to refresh it with".to_owned()),
            ("reauth_required", None) => {
                (!said.contains(probe.connection.as_str())).then(|| "the log does not say why".to_owned())
            }
            (state, token) => Some(format!("it is {state:?}, and {token:?} was presented")),
        };
        broken.extend(wrong.map(|what| Rule::LastToken.broken(format!("{}: {what}", probe.connection))));
    }
    broken
}

/// What is wrong with the token that an active connection holds.
fn stale(history: &History, probe: &Probe, token: Presented, explained: &Explained<'_>) -> Option<String> {
    let grants = history.received().filter(|(_, _, grant)| grant.connection == probe.connection);
    let latest = grants.filter_map(|(_, _, grant)| Some(grant.token.as_ref()?.family)).max();
    if latest.is_some_and(|latest| token.family < latest) && is_last_yes_to_newest(history, &probe.connection)
    {
        return Some(format!("what is stored is of family {}, grants were of {latest:?}", token.family));
    }
    let newest = newest(history, probe, token.family);
    let at = moment(history, probe);
    let calls = explained.calls.iter().enumerate().take_while(|(_, call)| call.number < probe.before);
    let replaced = calls.filter(|(_, call)| call.answer == Answer::Replaced && call.token.0 == token.family);
    // What took its place was lost each time, so that nobody ever had a newer one to send.
    let lost = replaced
        .filter(|(_, call)| call.token.1 >= token.generation)
        .all(|(number, call)| call.token.1 == token.generation && explained.excuse(number, at).is_some());
    let ended = end_there(history, probe, token).is_some();
    (token.generation > newest || !lost && !ended)
        .then(|| format!("generation {} of {newest} is stored", token.generation))
}

/// Why the token that an active connection holds works no more, unless its broker never heard of that: it sent a token once more, for a
/// reason, and what the provider said to that was lost. Whatever else ends an authorization ends the connection before.
fn dead(history: &History, probe: &Probe, token: Presented, explained: &Explained<'_>) -> Option<String> {
    let (place, kind) = end_there(history, probe, token)?;
    let mut calls = explained.calls.iter().enumerate();
    let answered = calls.rfind(|(_, call)| call.number < place && call.token.0 == token.family);
    let unheard = answered.is_some_and(|(number, call)| {
        call.answer == Answer::Refused && explained.excuse(number, moment(history, probe)).is_some()
    });
    (kind != RevokedKind::Reuse || !unheard)
        .then(|| format!("what is stored is of family {}, which had ended: {kind:?}", token.family))
}

/// When the probe came.
fn moment(history: &History, probe: &Probe) -> i64 {
    history.provider.get(probe.before).map_or(i64::MAX, |happened| happened.at)
}

/// Whether the authorization that was confirmed last is the one that was obtained last: of two that wait, a person may confirm either first.
fn is_last_yes_to_newest(history: &History, connection: &str) -> bool {
    let obtained = |consent: &str| {
        let exchanges = history.log.iter().filter(|row| row.kind == "consent.exchange");
        exchanges.filter(|row| row.text("/consent") == consent).map(|row| row.text("/time")).max()
    };
    let completed = history.log.iter().filter(|row| row.kind == "consent.completed");
    let yeses = completed.filter(|row| row.text("/connection") == connection);
    let both = yeses.map(|row| (row.text("/time"), obtained(row.text("/consent"))));
    let (last, newest) = (both.clone().max(), both.max_by_key(|(_, obtained)| *obtained));
    last == newest
}

/// The newest generation of a family before the probe.
fn newest(history: &History, probe: &Probe, family: u64) -> u32 {
    let before = history.provider.iter().take(probe.before);
    let issued = before.filter_map(|happened| match happened.event {
        ProviderEvent::Refreshed { family: of, issued, .. } if of == family => Some(issued),
        _ => None,
    });
    issued.max().unwrap_or(1)
}

/// Where the family had ended at the provider before, and how.
fn end_there(history: &History, probe: &Probe, token: Presented) -> Option<(usize, RevokedKind)> {
    let mut before = history.provider.iter().take(probe.before).enumerate();
    before.find_map(|(place, happened)| match happened.event {
        // One access token's end is not its family's.
        ProviderEvent::Revoked { kind: RevokedKind::AccessToken, .. } => None,
        ProviderEvent::Revoked { family, kind } => (family == token.family).then_some((place, kind)),
        _ => None,
    })
}

impl History {
    /// What the log and the provider have to say of the connection that something is wrong with, a line each; empty when it is of none.
    pub fn story(&self, broken: &Broken) -> String {
        let Some((connection, _)) = broken.what.split_once(": ") else { return String::new() };
        let is_its = |row: &&Row| row.body.to_string().contains(connection);
        let consents: HashSet<&str> =
            self.log.iter().filter(is_its).map(|row| row.text("/consent")).collect();
        let is_of_one =
            |row: &Row| !row.text("/consent").is_empty() && consents.contains(row.text("/consent"));
        let mut rows: Vec<&Row> = self.log.iter().filter(|row| is_its(row) || is_of_one(row)).collect();
        rows.sort_by_key(|row| row.text("/time"));
        let rows = rows.iter().map(|row| format!("{} {} {}", row.stream, row.kind, row.body));
        let grants = self.received().filter(|(_, _, grant)| grant.connection == connection);
        let families: HashSet<u64> =
            grants.filter_map(|(_, _, grant)| Some(grant.token.as_ref()?.family)).collect();
        let is_known = |event: &String| families.iter().any(|of| event.contains(&format!("family: {of},")));
        let events = self.provider.iter().map(|happened| format!("{happened:?}")).filter(is_known);
        let probes = self.probes.iter().filter(|probe| probe.connection == connection);
        rows.chain(events).chain(probes.map(|probe| format!("{probe:?}"))).collect::<Vec<_>>().join("\n")
    }
}

impl Probe {
    /// From what the provider wrote down while `connection` was refreshed; `before` is how much it had by then.
    pub fn of(connection: &str, truth: &[Happened], before: usize) -> Probe {
        let shown = truth.iter().skip(before).find_map(|happened| presented(&happened.event));
        Probe {
            connection: connection.to_owned(),
            before,
            presented: shown.map(|(family, generation)| Presented { family, generation }),
        }
    }
}
