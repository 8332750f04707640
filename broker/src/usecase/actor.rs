//! Who calls an RPC for auditors and operators: a person by assertion, or a workload by its roles.

use super::{
    Call, Caller, Rooms,
    bucket::{Rate, bucket_key},
};
use crate::{
    domain::{EventDraft, EventKind, Names, Outcome, Reason, Refusal, TenantId},
    identity::{VerifiedAssertion, VerifiedWorkload},
    policy::{self, RpcAction},
};

/// A verified caller of such an RPC.
pub enum Actor {
    /// A declared workload with roles.
    Workload(Caller),
    /// A person with an assertion for the broker itself.
    Person(Box<VerifiedAssertion>, Call),
}

impl Actor {
    /// Facts of the call.
    pub fn call(&self) -> &Call {
        match self {
            Self::Workload(caller) => &caller.call,
            Self::Person(_, call) => call,
        }
    }

    /// An event about this call.
    pub fn draft(&self, rooms: &Rooms, kind: EventKind, outcome: Outcome) -> EventDraft {
        match self {
            Self::Workload(caller) => caller.draft(&*rooms.rng, kind, outcome),
            Self::Person(person, call) => {
                let draft = call.draft(&*rooms.rng, kind, outcome);
                call.about(draft, person.subject(), Some(person.label()))
            }
        }
    }

    /// The tenants this caller may look into and act on (PO9): a person's own; those a workload serves.
    pub fn tenants(&self, rooms: &Rooms) -> Vec<TenantId> {
        match self {
            Self::Workload(caller) => {
                let all = rooms.settings.tenants.iter();
                all.filter(|tenant| caller.workload.serves(tenant)).cloned().collect()
            }
            Self::Person(person, _) => vec![person.subject().tenant.clone()],
        }
    }

    /// Whether `tenant` is one of them. Anybody else's is as if it did not exist.
    ///
    /// # Errors
    /// [`Reason::NotFound`].
    pub fn reaches(&self, rooms: &Rooms, tenant: &TenantId) -> Result<(), Refusal> {
        let known = rooms.settings.tenants.contains(tenant);
        if known && self.tenants(rooms).contains(tenant) {
            Ok(())
        } else {
            Err(Refusal::new(Reason::NotFound))
        }
    }

    /// Whether this caller's tenants are all there are: what is not any tenant's own is theirs to block or read.
    ///
    /// # Errors
    /// [`Reason::RoleMissing`].
    pub fn reaches_everything(&self, rooms: &Rooms) -> Result<(), Refusal> {
        let own = self.tenants(rooms);
        if rooms.settings.tenants.iter().all(|tenant| own.contains(tenant)) {
            Ok(())
        } else {
            let sentence = "This is not one tenant's own; it takes a caller who administers every tenant.";
            Err(Refusal::because(Reason::RoleMissing, sentence))
        }
    }

    /// Who it is, in a form that two different actors never share. Personal data: to compare or bind, not to show.
    pub fn name(&self) -> String {
        match self {
            Self::Workload(caller) => format!("workload {}", caller.id()),
            Self::Person(person, _) => {
                let subject = person.subject();
                format!("person {}/{}/{}", subject.tenant, subject.realm, subject.id)
            }
        }
    }

    /// Writes down that this caller was refused after policy let them in, unless a row says so already (AU2).
    pub async fn denied(&self, rooms: &Rooms, action: RpcAction, refusal: Refusal) -> Refusal {
        if refusal.recorded {
            return refusal;
        }
        let mut draft = self.draft(rooms, EventKind::CallDenied, Outcome::Denied);
        draft.detail.insert("action", action.as_str().into());
        super::record_denial(rooms, self.call(), draft, refusal).await
    }

    /// Whether a person calls no more often than they may; a workload was held to it before. What is refused for this is summed up
    /// like a workload's denials beyond its budget (AU2): else its rows would be the flood. It comes before policy is asked, so that
    /// whoever lacks the role has no more rows to spend either.
    async fn keeps(&self, rooms: &Rooms, pace: Pace) -> Result<(), Refusal> {
        let Self::Person(..) = self else { return Ok(()) };
        let key = bucket_key(pace.of, Some(&self.name()), None);
        rooms.persons.take(key, pace.rate).await.map_err(|wait| {
            let refusal = Refusal::new(Reason::RateLimited).retry_after(wait);
            if let Some(source) = self.call().client_address {
                rooms.refusals.count("grpc", refusal.reason, source);
            }
            refusal.recorded()
        })
    }

    fn names(&self) -> Names {
        match self {
            Self::Workload(caller) => Names { workload: Some(caller.id().clone()), ..Names::default() },
            Self::Person(person, _) => Names {
                tenant: Some(person.subject().tenant.clone()),
                subject: Some(person.subject().clone()),
                issuer: Some(person.issuer().to_owned()),
                ..Names::default()
            },
        }
    }
}

/// How often one person may call a method.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// The method.
    pub of: &'static str,
    /// So often.
    pub rate: Rate,
}

/// Establishes who calls and asks policy whether they may. A refusal of a known caller is recorded.
///
/// # Errors
/// [`Reason::AssertionMissing`] without any credential; the verifier's; [`Reason::RateLimited`], not recorded;
/// [`Reason::Blocked`]; [`Reason::RoleMissing`].
pub async fn authorize(
    rooms: &Rooms,
    workload: Option<VerifiedWorkload>,
    assertion: Option<&str>,
    call: Call,
    action: RpcAction,
    pace: Option<Pace>,
) -> Result<Actor, Refusal> {
    let actor = match (assertion, workload) {
        (Some(token), _) => Actor::Person(Box::new(rooms.person(token, &call).await?), call),
        (None, Some(workload)) => Actor::Workload(Caller { workload, call }),
        (None, None) => return Err(Refusal::new(Reason::AssertionMissing)),
    };
    if let Some(pace) = pace {
        actor.keeps(rooms, pace).await?;
    }
    let allowed = rooms.not_blocked(&actor.names()).and_then(|_| {
        let caller = match &actor {
            Actor::Workload(caller) => {
                policy::Caller::Workload { id: caller.id(), roles: caller.workload.roles() }
            }
            Actor::Person(person, _) => policy::Caller::Person {
                subject: person.subject(),
                issuer: person.issuer(),
                roles: person.roles(),
            },
        };
        Ok(rooms.policy.allows(&caller, action)?)
    });
    match allowed {
        Ok(_) => Ok(actor),
        Err(refusal) => Err(actor.denied(rooms, action, refusal).await),
    }
}
