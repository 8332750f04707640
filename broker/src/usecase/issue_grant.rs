//! The main job: decide, record, open, answer (design §6). Read it top to bottom.

use super::{
    Caller, Rooms,
    ask::{self, Ask, Failed},
    begin_consent::{ConsentLink, begin_consent},
    deliver::{Issued, Recorded, deliver},
    gather::Gathered,
    request::GrantRequest,
};
use crate::{
    crash::crash_point,
    domain::{EventDraft, EventKind, Outcome, Reason, Refusal, SecretString},
};

/// The answer to a grant request: two outcomes, neither of them an error.
#[derive(Debug)]
pub enum GrantOutcome {
    /// A grant.
    Granted(Box<Issued>),
    /// The user has to act first.
    ConsentRequired(Box<ConsentLink>),
}

/// Issues a grant for the person in `assertion`, or says what they have to do first.
///
/// # Errors
/// Every refusal, recorded before it is answered.
pub async fn issue_grant(
    rooms: &Rooms,
    caller: &Caller,
    assertion: SecretString,
    request: GrantRequest,
) -> Result<GrantOutcome, Refusal> {
    let mut about = caller.draft(&*rooms.rng, EventKind::GrantIssue, Outcome::Denied);
    let mut tried = try_issue(rooms, caller, &assertion, &request, &mut about).await;
    if matches!(tried, Err(Failed::Duplicate)) {
        // The same request overtook this one: answer it as a repeat (GR5).
        about = caller.draft(&*rooms.rng, EventKind::GrantIssue, Outcome::Denied);
        tried = try_issue(rooms, caller, &assertion, &request, &mut about).await;
    }
    match tried {
        Ok(outcome) => Ok(outcome),
        Err(Failed::Duplicate) => Err(Refusal::new(Reason::Conflict)),
        // Already in the log: the commit itself refused.
        Err(Failed::Recorded(refusal)) => Err(refusal),
        Err(Failed::Unrecorded(refusal)) => {
            Err(Box::pin(super::record_denial(rooms, &caller.call, about, refusal)).await)
        }
    }
}

async fn try_issue(
    rooms: &Rooms,
    caller: &Caller,
    assertion: &SecretString,
    request: &GrantRequest,
    about: &mut EventDraft,
) -> Result<GrantOutcome, Failed> {
    let spec = ask::provider(rooms, caller, request, about)?;
    let assertion = ask::person(rooms, caller, assertion).await?;
    let ask = Ask::of(rooms, caller, request, &assertion, spec, about)?;

    let claim = ask.earlier_claim().await?;
    let verdict = ask.decide(about)?;
    let ready = match ask.gather_for(verdict, claim, about).await? {
        Gathered::Ready(ready) => *ready,
        Gathered::Need(need) => {
            let link = Box::pin(begin_consent(&ask, *need, about)).await?;
            return Ok(GrantOutcome::ConsentRequired(Box::new(link)));
        }
    };

    crash_point!(rooms.points, "issue.before_row");
    let proof = rooms.audit.record(ready.permit, ready.entry, caller.call.deadline).await;
    let proof = proof.map_err(Failed::by_commit)?;
    crash_point!(rooms.points, "issue.recorded");
    let recorded = Recorded { grant: ready.grant, proof, connection: ready.connection, secret: ready.secret };
    let issued = deliver(rooms, caller, assertion.subject(), vec![recorded]).await;
    let issued = issued.map_err(Failed::Recorded)?.pop();
    let issued = issued.ok_or_else(|| Failed::Recorded(Refusal::new(Reason::Internal)))?;
    Ok(GrantOutcome::Granted(Box::new(issued)))
}
