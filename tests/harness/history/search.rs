//! Finds a refresh for every call, call by call, and goes back where one has none left. As leases keep refreshes of one connection apart,
//! there is hardly ever more than one to choose from.

use std::collections::{HashMap, HashSet};

use super::asked::{Answer, Asked, Token};
use super::attempts::Attempt;
use super::excuse::excuse;
use super::faults::Faults;

/// Nobody looks longer than so many choices.
const MOST_STEPS: usize = 200_000;

/// A token as the broker counts them.
type Sent<'a> = (&'a str, i64);

pub(super) struct Search<'s, 'a> {
    faults: &'s Faults,
    attempts: &'s [Attempt<'a>],
    calls: &'s [Asked],
    /// For every call the refreshes that were under way, the one that was under way longest first.
    under_way: Vec<Vec<usize>>,
    /// Whether a repeat needs an excuse.
    strict: bool,
    found: Vec<usize>,
    used: HashSet<usize>,
    sent: HashMap<Token, Sent<'a>>,
    came: HashMap<Sent<'a>, Token>,
    homes: HashMap<u64, &'a str>,
}

/// Why there is no refresh for every call; each with the call at which that was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stuck {
    /// None is left for it.
    NoneLeft(usize),
    /// There is more to try than anybody has time for.
    TooManyChoices(usize),
}

impl Stuck {
    pub(super) fn at(self) -> usize {
        match self {
            Stuck::NoneLeft(call) | Stuck::TooManyChoices(call) => call,
        }
    }
}

/// What the last choice made known.
struct Learned {
    token: bool,
    home: bool,
}

impl<'s, 'a> Search<'s, 'a> {
    /// `its` names refreshes by their number, each with the last moment at which it may have called.
    pub(super) fn new(
        faults: &'s Faults,
        attempts: &'s [Attempt<'a>],
        its: &[(usize, i64)],
        calls: &'s [Asked],
        homes: HashMap<u64, &'a str>,
        strict: bool,
    ) -> Search<'s, 'a> {
        let mut by_end = its.to_vec();
        by_end.sort_by_key(|(_, last)| std::cmp::Reverse(*last));
        let at = |call: &Asked| {
            let were =
                by_end.iter().filter(|(number, last)| attempts[*number].from <= call.at && call.at <= *last);
            were.map(|(number, _)| *number).collect()
        };
        let under_way = calls.iter().map(at).collect();
        let (found, used, sent, came) = Default::default();
        Search { faults, attempts, calls, under_way, strict, found, used, sent, came, homes }
    }

    /// A refresh for every call; or why not.
    pub(super) fn run(&mut self) -> Result<Vec<usize>, Stuck> {
        let mut path: Vec<(Vec<usize>, Option<Learned>)> = Vec::new();
        let (mut deepest, mut steps) = (0, 0);
        while self.found.len() < self.calls.len() {
            if path.len() == self.found.len() {
                deepest = deepest.max(path.len());
                path.push((self.candidates(path.len()), None));
            }
            steps += 1;
            if steps >= MOST_STEPS {
                return Err(Stuck::TooManyChoices(deepest));
            }
            let Some((rest, learned)) = path.last_mut() else { return Err(Stuck::NoneLeft(deepest)) };
            if let Some(number) = rest.pop() {
                *learned = Some(self.choose(number));
                continue;
            }
            path.pop();
            let Some((_, learned)) = path.last_mut() else { return Err(Stuck::NoneLeft(deepest)) };
            learned.take().into_iter().for_each(|learned| self.forget(learned));
        }
        Ok(self.found.clone())
    }

    /// Who may have made this call, after what was chosen for those before; the likeliest last.
    pub(super) fn candidates(&self, call: usize) -> Vec<usize> {
        self.under_way[call].iter().copied().filter(|number| self.fits(call, *number)).collect()
    }

    fn fits(&self, call: usize, number: usize) -> bool {
        let (asked, attempt) = (&self.calls[call], &self.attempts[number]);
        let sent = (attempt.connection, attempt.sent);
        !self.used.contains(&number)
            && self.homes.get(&asked.token.0).is_none_or(|home| *home == attempt.connection)
            && self.sent.get(&asked.token).is_none_or(|known| *known == sent)
            && self.came.get(&sent).is_none_or(|known| *known == asked.token)
            && (!self.strict || self.is_excused(call))
    }

    /// Whether everybody who was given something else for this token never had it.
    fn is_excused(&self, call: usize) -> bool {
        let asked = &self.calls[call];
        let earlier = self.calls.iter().zip(&self.found).take(call);
        let spent = earlier.filter(|(e, _)| e.token == asked.token && e.answer != Answer::Kept);
        spent
            .into_iter()
            .all(|(e, maker)| excuse(self.faults, e, Some(&self.attempts[*maker]), asked.at).is_some())
    }

    fn choose(&mut self, number: usize) -> Learned {
        let (asked, attempt) = (&self.calls[self.found.len()], &self.attempts[number]);
        let sent = (attempt.connection, attempt.sent);
        self.found.push(number);
        self.used.insert(number);
        self.came.insert(sent, asked.token);
        Learned {
            token: self.sent.insert(asked.token, sent).is_none(),
            home: self.homes.insert(asked.token.0, attempt.connection).is_none(),
        }
    }

    /// Takes the last choice back.
    fn forget(&mut self, learned: Learned) {
        let Some(number) = self.found.pop() else { return };
        let token = self.calls[self.found.len()].token;
        self.used.remove(&number);
        if learned.token {
            self.sent.remove(&token);
            self.came.remove(&(self.attempts[number].connection, self.attempts[number].sent));
        }
        if learned.home {
            self.homes.remove(&token.0);
        }
    }
}
