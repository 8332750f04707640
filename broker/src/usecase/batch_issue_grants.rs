//! Several grants for one person at once: all of them in one commit, or none (GR6). Read it top to bottom.

use super::{
    Caller, Rooms,
    ask::{self, Ask, Failed},
    begin_consents::{ParentLink, begin_consents},
    deliver::{Issued, Recorded, deliver},
    gather::Gathered,
    record_denials::record_denials,
    request::GrantRequest,
};
use crate::domain::{EventDraft, EventKind, Outcome, Reason, Refusal, RequestClaim, SecretString};
use futures::future::join_all;

/// Most items of one batch.
pub const MAX_BATCH: usize = 16;

/// The answer to a batch.
#[derive(Debug)]
pub enum BatchOutcome {
    /// A grant for every item, in the order asked for.
    Granted(Vec<Issued>),
    /// The user has to act first; nothing was issued.
    ConsentRequired(Box<ParentLink>),
}

/// Issues a grant for every item, for the person in `assertion`, or says what they have to do first.
///
/// # Errors
/// Every refusal, recorded before it is answered: one row per item. `item` in its metadata says which item it is about, if it is
/// about one.
pub async fn batch_issue_grants(
    rooms: &Rooms,
    caller: &Caller,
    assertion: SecretString,
    items: Vec<GrantRequest>,
) -> Result<BatchOutcome, Refusal> {
    let mut about = drafts(rooms, caller, items.len());
    let mut tried = try_batch(rooms, caller, &assertion, &items, &mut about).await;
    if matches!(tried, Err(Stopped { why: Failed::Duplicate, .. })) {
        // The same request overtook this one: answer it as a repeat (GR5).
        about = drafts(rooms, caller, items.len());
        tried = try_batch(rooms, caller, &assertion, &items, &mut about).await;
    }
    let Stopped { item, why } = match tried {
        Ok(outcome) => return Ok(outcome),
        Err(stopped) => stopped,
    };
    match why {
        Failed::Duplicate => Err(Refusal::new(Reason::Conflict)),
        // Already in the log: the commit itself refused.
        Failed::Recorded(refusal) => Err(named(refusal, item)),
        Failed::Unrecorded(refusal) => {
            Err(record_denials(rooms, &caller.call, about, item, named(refusal, item)).await)
        }
    }
}

/// One event per item; each says which batch it belongs to.
fn drafts(rooms: &Rooms, caller: &Caller, items: usize) -> Vec<EventDraft> {
    let draft = |_| caller.draft(&*rooms.rng, EventKind::GrantIssue, Outcome::Denied);
    let mut drafts: Vec<EventDraft> = (0..items).map(draft).collect();
    let batch = drafts.first().map(|first| first.id.to_string()).unwrap_or_default();
    for (item, draft) in drafts.iter_mut().enumerate() {
        draft.detail.insert("batch", batch.as_str().into());
        draft.detail.insert("batch_item", item.into());
    }
    drafts
}

/// Why a batch went no further, and because of which item, if it was one.
struct Stopped {
    item: Option<usize>,
    why: Failed,
}

impl Stopped {
    fn at(item: usize, why: impl Into<Failed>) -> Self {
        Self { item: Some(item), why: why.into() }
    }
}

impl<E: Into<Failed>> From<E> for Stopped {
    fn from(why: E) -> Self {
        Self { item: None, why: why.into() }
    }
}

fn named(refusal: Refusal, item: Option<usize>) -> Refusal {
    match item {
        Some(item) => refusal.with("item", item.to_string()),
        None => refusal,
    }
}

async fn try_batch(
    rooms: &Rooms,
    caller: &Caller,
    assertion: &SecretString,
    items: &[GrantRequest],
    about: &mut [EventDraft],
) -> Result<BatchOutcome, Stopped> {
    let mut specs = Vec::with_capacity(items.len());
    for (item, (request, about)) in items.iter().zip(&mut *about).enumerate() {
        specs.push(ask::provider(rooms, caller, request, about).map_err(|e| Stopped::at(item, e))?);
    }
    let assertion = ask::person(rooms, caller, assertion).await?;
    let mut asks = Vec::with_capacity(items.len());
    for (item, ((request, spec), about)) in items.iter().zip(specs).zip(&mut *about).enumerate() {
        let ask = Ask::of(rooms, caller, request, &assertion, spec, about);
        asks.push(ask.map_err(|e| Stopped::at(item, e))?);
    }

    // All of them are decided before anything is done for one of them.
    let mut verdicts = Vec::with_capacity(asks.len());
    let mut claims = earlier_claims(&asks).await?;
    if in_part(&claims) {
        // They were read one by one, and perhaps taken meanwhile; they are taken at once.
        claims = earlier_claims(&asks).await?;
    }
    if in_part(&claims) {
        // Their time was over one by one: the rest cannot be given again.
        return Err(Refusal::new(Reason::RequestIdStale).into());
    }
    for (item, (ask, about)) in asks.iter().zip(&mut *about).enumerate() {
        verdicts.push(ask.decide(about).map_err(|why| Stopped::at(item, why))?);
    }

    let gathering = asks.iter().zip(verdicts).zip(claims).zip(&mut *about);
    let gathering = gathering.map(|(((ask, verdict), claim), about)| ask.gather_for(verdict, claim, about));
    let (mut ready, mut needs) = (Vec::with_capacity(asks.len()), Vec::with_capacity(asks.len()));
    for (item, gathered) in join_all(gathering).await.into_iter().enumerate() {
        match gathered.map_err(|why| Stopped::at(item, why))? {
            Gathered::Ready(one) => {
                ready.push(*one);
                needs.push(None);
            }
            Gathered::Need(need) => needs.push(Some(*need)),
        }
    }
    if needs.iter().any(Option::is_some) {
        let link = begin_consents(&asks, needs, about).await?;
        return Ok(BatchOutcome::ConsentRequired(Box::new(link)));
    }

    let (mut permits, mut rest) = (Vec::with_capacity(ready.len()), Vec::with_capacity(ready.len()));
    for one in ready {
        permits.push((one.permit, one.entry));
        rest.push((one.grant, one.connection, one.secret));
    }
    let proofs = rooms.audit.record_group(permits, caller.call.deadline).await.map_err(Failed::by_commit)?;
    let recorded = proofs.into_iter().zip(rest);
    let recorded = recorded
        .map(|(proof, (grant, connection, secret))| Recorded { grant, proof, connection, secret })
        .collect();
    let issued = deliver(rooms, caller, assertion.subject(), recorded).await;
    Ok(BatchOutcome::Granted(issued.map_err(Failed::Recorded)?))
}

async fn earlier_claims(asks: &[Ask<'_>]) -> Result<Vec<Option<RequestClaim>>, Refusal> {
    let mut claims = Vec::with_capacity(asks.len());
    for ask in asks {
        claims.push(ask.earlier_claim().await?);
    }
    Ok(claims)
}

fn in_part(claims: &[Option<RequestClaim>]) -> bool {
    claims.iter().any(Option::is_some) && claims.iter().any(Option::is_none)
}
