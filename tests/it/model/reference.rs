//! The model: one person's connection, who may use it for what, which of its tokens still do, and what a call is answered.

use std::collections::BTreeMap;

use broker_proto::v1::ConsentReason;
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

/// Two people, each with an account of their own at the provider.
pub const PEOPLE: usize = 2;
/// Two servers.
pub const SERVERS: usize = 2;

/// Scopes: 1 = read, 2 = write, 3 = both.
pub type Scopes = u8;

/// How a rewrap ends.
const REWRAPS: [Option<&str>; 4] = [None, None, Some("rewrap.before_commit"), Some("rewrap.committed")];

/// Who asks for whom, for what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    pub person: usize,
    pub server: usize,
    pub scopes: Scopes,
}

/// What happens.
#[derive(Clone, Debug)]
pub enum Step {
    /// A call for a grant.
    Ask(Ask),
    /// The same with a request id, which is used again and again.
    AskOnce(Ask, u8),
    /// A call; its person does what the link says; the call again.
    Connect(Ask),
    /// A call; its person says no.
    Decline(Ask),
    /// An administrator ends the person's connection.
    Revoke(usize),
    /// The server gives back its approval.
    Withdraw { person: usize, server: usize },
    /// An administrator stops a person, or lets them go on.
    Block { person: usize, stop: bool },
    /// The same for a server.
    BlockServer { server: usize, stop: bool },
    /// The person disconnects the broker at the provider.
    EndAtProvider(usize),
    /// Access tokens that the provider issues from now on are as good as over at once, or last.
    Tokens { last: bool },
    /// `kill -9`, and a start.
    Crash,
    /// SIGTERM, and a start.
    Restart,
    /// An operator gives the tenant a further key.
    RotateKey,
    /// An operator wraps everything that is stored with the newest key; or is killed, before or after the first batch.
    Rewrap(Option<&'static str>),
}

/// What a call must be answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A grant of its own.
    Grant,
    /// The grant that the request id had before.
    SameGrant,
    Consent(ConsentReason),
    Refused(&'static str),
    /// A short life may be over by now or not: the same grant, or `REQUEST_ID_STALE`.
    SameOrStale,
}

/// Everything.
#[derive(Clone, Debug)]
pub struct State {
    pub people: [Person; PEOPLE],
    pub servers_blocked: [bool; SERVERS],
    pub tokens_last: bool,
    /// What the last step's calls must be answered, in order.
    pub expected: Vec<Answer>,
    claims: BTreeMap<(usize, usize, u8), Claim>,
    connections: u32,
    lie: Lie,
}

#[derive(Clone, Debug, Default)]
pub struct Person {
    pub blocked: bool,
    pub connection: Option<Connection>,
}

#[derive(Clone, Debug)]
pub struct Connection {
    /// Tells it from earlier ones of the same person.
    number: u32,
    pub held: Scopes,
    pub reauth_required: bool,
    alive_at_provider: bool,
    /// By scopes: how many came before, and whether it lasts.
    tokens: BTreeMap<Scopes, (u32, bool)>,
    issued: u32,
    pub approved: [Scopes; SERVERS],
}

#[derive(Clone, Copy, Debug)]
struct Claim {
    scopes: Scopes,
    connection: u32,
    token: u32,
    lasts: bool,
}

/// What a wrong model would believe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    None,
    /// What was withdrawn stands.
    WithdrawnStands,
    /// A crash forgets request ids.
    CrashForgets,
}

impl Claim {
    fn ask(self, (person, server, _): (usize, usize, u8)) -> Ask {
        Ask { person, server, scopes: self.scopes }
    }
}

impl Connection {
    fn token(&mut self, scopes: Scopes, lasts: bool) {
        self.issued += 1;
        self.tokens.insert(scopes, (self.issued, lasts));
    }
}

impl State {
    pub fn new(lie: Lie) -> State {
        State {
            people: [Person::default(), Person::default()],
            servers_blocked: [false; SERVERS],
            tokens_last: true,
            expected: Vec::new(),
            claims: BTreeMap::new(),
            connections: 0,
            lie,
        }
    }

    /// Everything that is approved.
    fn approved(&self) -> Vec<Ask> {
        let mut asks = Vec::new();
        for (person, known) in self.people.iter().enumerate() {
            for (server, scopes) in known.connection.iter().flat_map(|c| c.approved.into_iter().enumerate()) {
                let within = (1..=3).filter(|some| some & !scopes == 0);
                asks.extend(within.map(|scopes| Ask { person, server, scopes }));
            }
        }
        asks
    }

    fn blocked(&self, ask: Ask) -> bool {
        self.people[ask.person].blocked || self.servers_blocked[ask.server]
    }

    /// What a call is answered, and what it changes: it may refresh, and learn that there is nothing to refresh with.
    fn ask(&mut self, ask: Ask) -> Answer {
        if self.blocked(ask) {
            return Answer::Refused("BLOCKED");
        }
        let lasts = self.tokens_last;
        let Some(connection) = &mut self.people[ask.person].connection else {
            return Answer::Consent(ConsentReason::NotConnected);
        };
        if connection.reauth_required {
            return Answer::Consent(ConsentReason::ReauthRequired);
        }
        if ask.scopes & !connection.held != 0 {
            return Answer::Consent(ConsentReason::ScopesMissing);
        }
        if ask.scopes & !connection.approved[ask.server] != 0 {
            return Answer::Consent(ConsentReason::NotApproved);
        }
        if connection.tokens.get(&ask.scopes).is_some_and(|(_, lasts)| *lasts) {
            return Answer::Grant;
        }
        if !connection.alive_at_provider {
            connection.reauth_required = true;
            return Answer::Consent(ConsentReason::ReauthRequired);
        }
        connection.token(ask.scopes, lasts);
        Answer::Grant
    }

    fn ask_once(&mut self, ask: Ask, id: u8) -> Answer {
        if self.blocked(ask) {
            return Answer::Refused("BLOCKED");
        }
        let key = (ask.person, ask.server, id);
        let Some(claim) = self.claims.get(&key).copied() else {
            let answer = self.ask(ask);
            if let (Answer::Grant, Some(connection)) = (answer, &self.people[ask.person].connection) {
                let (token, lasts) = connection.tokens[&ask.scopes];
                let claim = Claim { scopes: ask.scopes, connection: connection.number, token, lasts };
                self.claims.insert(key, claim);
            }
            return answer;
        };
        if claim.scopes != ask.scopes {
            return Answer::Refused("REQUEST_ID_REUSED");
        }
        let usable = self.people[ask.person].connection.as_ref().is_some_and(|connection| {
            connection.number == claim.connection
                && !connection.reauth_required
                && ask.scopes & !(connection.held & connection.approved[ask.server]) == 0
                && connection.tokens.get(&ask.scopes).is_some_and(|(token, _)| *token == claim.token)
        });
        match (usable, claim.lasts) {
            (false, _) => Answer::Refused("REQUEST_ID_STALE"),
            (true, true) => Answer::SameGrant,
            (true, false) => Answer::SameOrStale,
        }
    }

    fn connect(&mut self, ask: Ask) -> Vec<Answer> {
        let first = self.ask(ask);
        let Answer::Consent(reason) = first else { return vec![first] };
        self.complete(ask, reason);
        vec![first, self.ask(ask)]
    }

    /// The person said yes, at the broker and where it is asked at the provider.
    fn complete(&mut self, ask: Ask, reason: ConsentReason) {
        let lasts = self.tokens_last;
        self.connections += 1;
        let number = self.connections;
        let connection = self.people[ask.person].connection.get_or_insert_with(|| Connection {
            number,
            held: 0,
            reauth_required: false,
            alive_at_provider: true,
            tokens: BTreeMap::new(),
            issued: 0,
            approved: [0; SERVERS],
        });
        if reason != ConsentReason::NotApproved {
            // Never less than it held before (CO9), from a new authorization, without the tokens of the old one.
            connection.held |= ask.scopes;
            connection.reauth_required = false;
            connection.alive_at_provider = true;
            connection.tokens.clear();
            connection.token(connection.held, lasts);
        }
        connection.approved[ask.server] |= ask.scopes;
    }
}

/// The machine over [`State`].
pub struct Model;

impl ReferenceStateMachine for Model {
    type State = State;
    type Transition = Step;

    fn init_state() -> BoxedStrategy<State> {
        Just(State::new(Lie::None)).boxed()
    }

    /// What may work is tried more often than what cannot, and what was done before is done again.
    fn transitions(state: &State) -> BoxedStrategy<Step> {
        let ask = (0..PEOPLE, 0..SERVERS, 1..=3_u8).prop_map(|(person, server, scopes)| Ask {
            person,
            server,
            scopes,
        });
        let mut steps: Vec<(u32, BoxedStrategy<Step>)> = vec![
            (2, ask.clone().prop_map(Step::Ask).boxed()),
            (2, (ask.clone(), 0..2_u8).prop_map(|(ask, id)| Step::AskOnce(ask, id)).boxed()),
            (9, ask.clone().prop_map(Step::Connect).boxed()),
            (1, ask.prop_map(Step::Decline).boxed()),
            (3, any::<bool>().prop_map(|last| Step::Tokens { last }).boxed()),
            (1, Just(Step::Crash).boxed()),
            (1, Just(Step::Restart).boxed()),
            (2, Just(Step::RotateKey).boxed()),
            (2, proptest::sample::select(REWRAPS.to_vec()).prop_map(Step::Rewrap).boxed()),
        ];
        // Lifted sooner than set: a sequence in which nobody may do anything shows little.
        let weight = |stop: bool| if stop { 1 } else { 4 };
        for (person, known) in state.people.iter().enumerate() {
            let stop = !known.blocked;
            steps.push((weight(stop), Just(Step::Block { person, stop }).boxed()));
        }
        for (server, blocked) in state.servers_blocked.iter().enumerate() {
            let stop = !blocked;
            steps.push((weight(stop), Just(Step::BlockServer { server, stop }).boxed()));
        }
        let mut often = |weight, all: Vec<Step>| {
            if !all.is_empty() {
                steps.push((weight, proptest::sample::select(all).boxed()));
            }
        };
        let approved = state.approved();
        often(8, approved.iter().copied().map(Step::Ask).collect());
        let once = |(number, ask): (usize, &Ask)| Step::AskOnce(*ask, u8::from(number % 2 == 1));
        often(4, approved.iter().enumerate().map(once).collect());
        often(6, state.claims.iter().map(|(key, claim)| Step::AskOnce(claim.ask(*key), key.2)).collect());
        let connected = || (0..PEOPLE).filter(|person| state.people[*person].connection.is_some());
        often(2, connected().map(Step::Revoke).collect());
        often(2, connected().map(Step::EndAtProvider).collect());
        let withdrawals =
            approved.iter().map(|ask| Step::Withdraw { person: ask.person, server: ask.server });
        often(2, withdrawals.collect());
        proptest::strategy::Union::new_weighted(steps).boxed()
    }

    fn preconditions(state: &State, step: &Step) -> bool {
        let connection = |person: &usize| state.people[*person].connection.as_ref();
        match step {
            Step::Revoke(person) => connection(person).is_some(),
            Step::Withdraw { person, server } => {
                // A blocked server cannot call, nor can one be called for a blocked person.
                let ask = Ask { person: *person, server: *server, scopes: 1 };
                !state.blocked(ask) && connection(person).is_some_and(|found| found.approved[*server] != 0)
            }
            Step::Block { person, stop } => state.people[*person].blocked != *stop,
            Step::BlockServer { server, stop } => state.servers_blocked[*server] != *stop,
            _ => true,
        }
    }

    fn apply(mut state: State, step: &Step) -> State {
        state.expected.clear();
        match step {
            Step::Ask(ask) | Step::Decline(ask) => {
                let answer = state.ask(*ask);
                state.expected.push(answer);
            }
            Step::AskOnce(ask, id) => {
                let answer = state.ask_once(*ask, *id);
                state.expected.push(answer);
            }
            Step::Connect(ask) => state.expected = state.connect(*ask),
            Step::Revoke(person) => state.people[*person].connection = None,
            Step::Withdraw { person, server } if state.lie != Lie::WithdrawnStands => {
                if let Some(connection) = &mut state.people[*person].connection {
                    connection.approved[*server] = 0;
                }
            }
            Step::Block { person, stop } => state.people[*person].blocked = *stop,
            Step::BlockServer { server, stop } => state.servers_blocked[*server] = *stop,
            Step::EndAtProvider(person) => {
                if let Some(connection) = &mut state.people[*person].connection {
                    connection.alive_at_provider = false;
                }
            }
            Step::Tokens { last } => state.tokens_last = *last,
            Step::Crash if state.lie == Lie::CrashForgets => state.claims.clear(),
            // Keys are nobody's business but the operator's.
            Step::Withdraw { .. } | Step::Crash | Step::Restart | Step::RotateKey | Step::Rewrap(_) => {}
        }
        state
    }
}
