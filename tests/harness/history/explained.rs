//! Holds the provider's calls against the log's refreshes: which refresh made which call. A refresh makes one call at most, after its
//! intent and before its end; a token that the broker counts as one is one at the provider, and a family is of one connection.

use std::collections::{BTreeMap, HashMap};

use super::History;
use super::asked::{Asked, asked};
use super::attempts::{Attempt, attempts};
use super::excuse::{Excuse, excuse, last_moment};
use super::recorded::ProviderEvent;
use super::search::{Search, Stuck};

/// Every call, with the refresh that made it.
pub(super) struct Explained<'a> {
    history: &'a History,
    pub(super) calls: Vec<Asked>,
    pub(super) attempts: Vec<Attempt<'a>>,
    /// For every call the number of its refresh; none for those of the probes.
    made_by: Vec<Option<usize>>,
    /// What nothing explains, each beginning with a connection, where one is known.
    pub(super) odd: Vec<String>,
}

impl<'a> Explained<'a> {
    pub(super) fn of(history: &'a History) -> Explained<'a> {
        let (attempts, mut odd) = attempts(history);
        let (calls, unheard_of) = asked(&history.provider);
        odd.extend(unheard_of);
        let made_by = vec![None; calls.len()];
        let mut explained = Explained { history, calls, attempts, made_by, odd };
        let known = known(history);
        for (account, its) in explained.by_account() {
            explained.explain(account, &its, &known);
        }
        explained
    }

    /// What explains that the token of this call is sent again at that time.
    pub(super) fn excuse(&self, call: usize, at: i64) -> Option<Excuse> {
        let attempt = self.made_by[call].map(|number| &self.attempts[number]);
        excuse(&self.history.faults, &self.calls[call], attempt, at)
    }

    /// One who made it, as far as it is known.
    pub(super) fn maker(&self, call: usize) -> Option<&Attempt<'a>> {
        self.made_by[call].map(|number| &self.attempts[number])
    }

    /// The calls of the run itself, for each account at the provider.
    fn by_account(&mut self) -> BTreeMap<&'a str, Vec<usize>> {
        let mut accounts = HashMap::<u64, &str>::new();
        for happened in &self.history.provider {
            if let ProviderEvent::TokensIssued { family, account, .. } = &happened.event {
                accounts.insert(*family, account);
            }
        }
        // Later ones are the probes' own, whose rows nobody reads.
        let end = self.history.probes.iter().map(|probe| probe.before).min().unwrap_or(usize::MAX);
        let mut all = BTreeMap::<&str, Vec<usize>>::new();
        for (number, call) in self.calls.iter().enumerate().filter(|(_, call)| call.number < end) {
            match accounts.get(&call.token.0) {
                Some(account) => all.entry(account).or_default().push(number),
                None => self.odd.push(format!("nobody issued the token of {call:?}")),
            }
        }
        all
    }

    fn explain(&mut self, account: &str, calls: &[usize], known: &HashMap<u64, &'a str>) {
        let may_be_its =
            |attempt: &Attempt<'_>| account_of(self.history, attempt.connection) == Some(account);
        let its = self.attempts.iter().enumerate().filter(|(_, attempt)| may_be_its(attempt));
        let faults = &self.history.faults;
        let its: Vec<(usize, i64)> =
            its.map(|(number, attempt)| (number, last_moment(faults, attempt))).collect();
        let asked: Vec<Asked> = calls.iter().map(|number| self.calls[*number]).collect();
        // With excuses for every repeat, or else without, so that it is known which repeat has none.
        let searches = [true, false].map(|strict| {
            let mut search = Search::new(faults, &self.attempts, &its, &asked, known.clone(), strict);
            search.run().map_err(|stuck| (stuck, search.candidates(stuck.at())))
        });
        let [strict, lenient] = searches;
        let found = match strict {
            // Nobody knows whether there are excuses.
            Err((Stuck::TooManyChoices(_), _)) => strict,
            strict => strict.or(lenient),
        };
        match found {
            Ok(found) => {
                for (call, maker) in calls.iter().zip(found) {
                    self.made_by[*call] = Some(maker);
                }
            }
            Err((stuck, candidates)) => {
                let call = &asked[stuck.at()];
                let home = known.get(&call.token.0).copied().unwrap_or(account);
                let at_that_time: Vec<&Attempt<'_>> =
                    candidates.iter().map(|number| &self.attempts[*number]).collect();
                let what = match stuck {
                    Stuck::NoneLeft(_) => "no refresh made",
                    Stuck::TooManyChoices(_) => "the search was given up, nobody knows what made",
                };
                self.odd.push(format!("{home}: {what} {call:?}; at that time: {at_that_time:?}"));
            }
        }
    }
}

/// Which connection holds what came of which code, as far as anybody received a grant of it.
fn known(history: &History) -> HashMap<u64, &str> {
    let tokens = history.received().filter_map(|(_, _, grant)| Some((grant.token.as_ref()?.family, grant)));
    tokens.map(|(family, grant)| (family, grant.connection.as_str())).collect()
}

fn account_of<'a>(history: &'a History, connection: &str) -> Option<&'a str> {
    let owner = &history.connections.get(connection)?.subject;
    let person = history.people.values().find(|person| person.subject == *owner)?;
    Some(&person.account)
}
