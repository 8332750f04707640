//! Who has connected what, and what was handed out.

use super::calls::Call;
use super::reasons::Refusal;
use crate::Assertion;
use crate::proto::{self, ConsentReason, ConsentState, IssueGrantRequest};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::time::{Duration, SystemTime};

/// How long a link lives.
const LINK: Duration = Duration::from_secs(600);
/// How long a token and its grant live.
const TOKEN: Duration = Duration::from_secs(900);

/// A person at a provider.
type Party = (String, String);

#[derive(Debug, Default)]
pub(super) struct State {
    connections: HashMap<Party, Connection>,
    consents: Vec<Consent>,
    tokens: Vec<Token>,
    pub(super) refusals: VecDeque<Refusal>,
    pub(super) refused: HashMap<String, Refusal>,
    pub(super) calls: Vec<Call>,
    grants: u64,
}

#[derive(Debug)]
struct Connection {
    id: String,
    scopes: BTreeSet<String>,
    needs_reauth: bool,
}

#[derive(Debug)]
struct Consent {
    party: Party,
    message: proto::Consent,
    reason: ConsentReason,
}

#[derive(Debug)]
struct Token {
    value: String,
    party: Party,
    scopes: BTreeSet<String>,
    ends: SystemTime,
}

/// How a person answered a consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finish {
    /// They approved, and the provider agreed.
    Completed,
    /// They said no.
    Declined,
    /// They did not answer in time.
    Expired,
    /// Something went wrong at the provider.
    Failed,
}

/// For whom a token was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Owner {
    /// The person.
    pub assertion: Assertion,
    /// The provider it is for.
    pub provider: String,
    /// What it may do.
    pub scopes: Vec<String>,
    /// Whether it is still good.
    pub live: bool,
}

/// Either a grant or the consent that is missing.
pub(super) enum Decision {
    Grant(proto::Grant),
    Consent(proto::ConsentRequired),
}

impl State {
    pub(super) fn connect(&mut self, assertion: &str, provider: &str, scopes: &[&str]) -> String {
        let id = format!("con_{}", self.connections.len() + 1);
        let party = (assertion.to_owned(), provider.to_owned());
        let fresh = || Connection { id, scopes: BTreeSet::new(), needs_reauth: false };
        let connection = self.connections.entry(party).or_insert_with(fresh);
        connection.scopes.extend(scopes.iter().map(|scope| (*scope).to_owned()));
        connection.needs_reauth = false;
        connection.id.clone()
    }

    pub(super) fn disconnect(&mut self, assertion: &str, provider: &str) {
        let party = (assertion.to_owned(), provider.to_owned());
        let theirs = self.tokens.iter_mut().filter(|token| token.party == party);
        theirs.for_each(|token| token.ends = SystemTime::UNIX_EPOCH);
        if let Some(connection) = self.connections.get_mut(&party) {
            connection.needs_reauth = true;
        }
    }

    pub(super) fn finish(&mut self, consent: &str, how: Finish, now: SystemTime) {
        let found =
            self.consents.iter_mut().find(|one| one.message.id == consent || one.message.url == consent);
        let found = found.unwrap_or_else(|| panic!("there is no such consent"));
        found.age(now);
        assert_eq!(found.message.state(), ConsentState::Pending, "the consent is over already");
        let (state, reason) = match how {
            Finish::Completed => (ConsentState::Completed, ""),
            Finish::Declined => (ConsentState::Declined, "CONSENT_DECLINED"),
            Finish::Expired => (ConsentState::Expired, ""),
            Finish::Failed => (ConsentState::Failed, "PROVIDER_UNAVAILABLE"),
        };
        found.end(state, reason);
        if how == Finish::Completed {
            let (assertion, provider) = found.party.clone();
            let scopes = found.message.scopes.clone();
            let scopes: Vec<&str> = scopes.iter().map(String::as_str).collect();
            self.connect(&assertion, &provider, &scopes);
        }
    }

    /// What the broker answers to a request that nobody refuses.
    pub(super) fn decide(&mut self, request: &IssueGrantRequest, now: SystemTime) -> Decision {
        let (party, wanted) = about(request);
        match (self.missing(request), self.connections.get(&party)) {
            (None, Some(connection)) => {
                let id = connection.id.clone();
                Decision::Grant(self.grant(party, &wanted, id, now))
            }
            (missing, _) => {
                let (missing, reason) =
                    missing.unwrap_or_else(|| (wanted.clone(), ConsentReason::NotConnected));
                Decision::Consent(self.consent(party, &wanted, missing, reason, now))
            }
        }
    }

    /// The scopes that a person has to approve first, and why; `None`: nothing.
    pub(super) fn missing(&self, request: &IssueGrantRequest) -> Option<(BTreeSet<String>, ConsentReason)> {
        let (party, wanted) = about(request);
        match self.connections.get(&party) {
            None => Some((wanted, ConsentReason::NotConnected)),
            Some(connection) if connection.needs_reauth => Some((wanted, ConsentReason::ReauthRequired)),
            Some(connection) if connection.scopes.is_empty() => Some((wanted, ConsentReason::NotApproved)),
            Some(connection) => {
                let missing = &wanted - &connection.scopes;
                (!missing.is_empty()).then_some((missing, ConsentReason::ScopesMissing))
            }
        }
    }

    fn grant(
        &mut self,
        party: Party,
        scopes: &BTreeSet<String>,
        connection_id: String,
        now: SystemTime,
    ) -> proto::Grant {
        self.grants += 1;
        let account_label = format!("{} at {}", party.0, party.1);
        let same = |token: &&Token| token.party == party && token.scopes == *scopes && token.ends > now;
        let held = self.tokens.iter().find(same).map(|token| (token.value.clone(), token.ends));
        let (access_token, ends) = held.unwrap_or_else(|| {
            let (value, ends) = (format!("fake-token-{}", self.grants), now + TOKEN);
            self.tokens.push(Token { value: value.clone(), party, scopes: scopes.clone(), ends });
            (value, ends)
        });
        proto::Grant {
            id: format!("evt_{}", self.grants),
            access_token,
            header_name: "authorization".to_owned(),
            header_value_prefix: "Bearer ".to_owned(),
            expire_time: Some(ends.into()),
            scopes: scopes.iter().cloned().collect(),
            narrowing: proto::GrantNarrowing::Exact.into(),
            lifetime: proto::GrantLifetime::Enforced.into(),
            token_expire_time: Some(ends.into()),
            connection_id,
            account_label,
            audit_position: Some(proto::AuditPosition { stream: "fake".to_owned(), seq: self.grants }),
        }
    }

    /// The same open need gets the same link.
    fn consent(
        &mut self,
        party: Party,
        scopes: &BTreeSet<String>,
        missing: BTreeSet<String>,
        reason: ConsentReason,
        now: SystemTime,
    ) -> proto::ConsentRequired {
        self.consents.iter_mut().for_each(|consent| consent.age(now));
        let scopes: Vec<String> = scopes.iter().cloned().collect();
        let same = |consent: &Consent| {
            consent.message.state() == ConsentState::Pending
                && consent.party == party
                && consent.message.scopes == scopes
        };
        let at = self.consents.iter().position(same).unwrap_or_else(|| {
            let id = format!("cns_{}", self.consents.len() + 1);
            let message = proto::Consent {
                url: format!("https://broker.invalid/consent/{id}"),
                id,
                state: ConsentState::Pending.into(),
                provider: party.1.clone(),
                scopes,
                missing_scopes: missing.into_iter().collect(),
                expire_time: Some((now + LINK).into()),
                reason: String::new(),
            };
            self.consents.push(Consent { party, message, reason });
            self.consents.len() - 1
        });
        let Consent { message, reason, .. } = &self.consents[at];
        proto::ConsentRequired {
            consent_id: message.id.clone(),
            url: message.url.clone(),
            expire_time: message.expire_time,
            reason: (*reason).into(),
            missing_scopes: message.missing_scopes.clone(),
            message: format!("Please connect {}.", message.provider),
        }
    }

    /// The consent, if it is this person's or nobody in particular asks.
    pub(super) fn find(
        &mut self,
        id: &str,
        assertion: Option<&str>,
        now: SystemTime,
    ) -> Option<proto::Consent> {
        let theirs = |consent: &&mut Consent| assertion.is_none_or(|person| consent.party.0 == person);
        let found = self.consents.iter_mut().find(|consent| consent.message.id == id).filter(theirs)?;
        found.age(now);
        Some(found.message.clone())
    }

    pub(super) fn connections_of(&self, assertion: &str) -> Vec<proto::Connection> {
        let theirs = self.connections.iter().filter(|((person, _), _)| person == assertion);
        let mut found: Vec<_> = theirs
            .map(|((_, provider), connection)| proto::Connection {
                id: connection.id.clone(),
                provider: provider.clone(),
                state: match connection.needs_reauth {
                    true => proto::ConnectionState::ReauthRequired.into(),
                    false => proto::ConnectionState::Active.into(),
                },
                scopes: connection.scopes.iter().cloned().collect(),
                ..Default::default()
            })
            .collect();
        found.sort_by(|one, other| one.id.cmp(&other.id));
        found
    }

    /// Forgets the person's approval; whether there was one.
    pub(super) fn withdraw(&mut self, connection_id: &str, assertion: &str) -> bool {
        let mut theirs = self.connections.iter_mut().filter(|((person, _), _)| person == assertion);
        let found = theirs.find(|(_, connection)| connection.id == connection_id);
        found.is_some_and(|(_, connection)| !std::mem::take(&mut connection.scopes).is_empty())
    }

    pub(super) fn end_token(&mut self, value: &str) {
        self.tokens.iter_mut().filter(|token| token.value == value).for_each(|token| {
            token.ends = SystemTime::UNIX_EPOCH;
        });
    }

    pub(super) fn whose(&self, value: &str, now: SystemTime) -> Option<Owner> {
        let token = self.tokens.iter().find(|token| token.value == value)?;
        Some(Owner {
            assertion: Assertion::from(token.party.0.as_str()),
            provider: token.party.1.clone(),
            scopes: token.scopes.iter().cloned().collect(),
            live: token.ends > now,
        })
    }
}

/// Whose connection a request is about, and the scopes it wants.
fn about(request: &IssueGrantRequest) -> (Party, BTreeSet<String>) {
    let party = (request.assertion.clone(), request.provider.clone());
    (party, request.scopes.iter().cloned().collect())
}

impl Consent {
    fn age(&mut self, now: SystemTime) {
        let over = self
            .message
            .expire_time
            .is_some_and(|time| SystemTime::try_from(time).is_ok_and(|time| time <= now));
        if over && self.message.state() == ConsentState::Pending {
            self.end(ConsentState::Expired, "");
        }
    }

    fn end(&mut self, state: ConsentState, reason: &str) {
        self.message.set_state(state);
        self.message.reason = reason.to_owned();
        self.message.url.clear();
    }
}
