//! The main job: decide, record, open, answer (design §6). Read it top to bottom.

use super::{Caller, Rooms, begin_consent, redeliver, request::GrantRequest};
use crate::{
    audit::Refused,
    connection::{Access, Need, Resolved, Usable, Wanted, Wanting, resolve},
    domain::{
        AccessToken, Approval, Connection, ConnectionState, Consent, ConsentReason, Entry, EventDraft,
        EventId, EventKind, ExposeSecret, Names, Outcome, ProviderSpec, Reason, Refusal, RequestClaim,
        ScopeSet, Sealed, SecretRow, Timestamp, Write,
    },
    identity::VerifiedAssertion,
    policy::{Beyond, Denial, Issue, Permit, Question, TtlLimits, Verdict},
    vault::{Grant, VaultError},
};
use std::time::Duration;

/// How long a request id is remembered (GR5).
const CLAIM_LIFE: Duration = Duration::from_secs(600);

/// The answer to a grant request: two outcomes, neither of them an error.
#[derive(Debug)]
pub enum GrantOutcome {
    /// A grant.
    Granted(Box<Issued>),
    /// The user has to act first.
    ConsentRequired(Box<ConsentLink>),
}

/// A grant and the truth about it.
#[derive(Debug)]
pub struct Issued {
    /// The grant's id: that of the event that first recorded it.
    pub id: EventId,
    /// The grant.
    pub grant: Grant,
    /// What its token can really do (GR1).
    pub token_scopes: ScopeSet,
    /// When the provider stops honouring the token; `None` = never, or it does not say (GR10).
    pub token_expires_at: Option<Timestamp>,
    /// The connection it stands on.
    pub connection: Connection,
}

/// A consent and its link.
#[derive(Debug)]
pub struct ConsentLink {
    /// The consent.
    pub consent: Consent,
    /// The link for the user.
    pub url: String,
    /// Scopes the approval lacks.
    pub missing: ScopeSet,
    /// One sentence for the user.
    pub sentence: String,
}

/// What one request is about, once it is known who asks for whom.
pub(super) struct Ask<'a> {
    pub(super) rooms: &'a Rooms,
    pub(super) caller: &'a Caller,
    pub(super) request: &'a GrantRequest,
    pub(super) assertion: &'a VerifiedAssertion,
    pub(super) spec: &'a ProviderSpec,
    pub(super) names: Names,
    pub(super) epoch: i64,
}

/// Issues a grant, or says what the user has to do first.
///
/// # Errors
/// Every refusal, recorded before it is answered.
pub async fn issue_grant(
    rooms: &Rooms,
    caller: &Caller,
    request: GrantRequest,
) -> Result<GrantOutcome, Refusal> {
    let mut about = caller.draft(&*rooms.rng, EventKind::GrantIssue, Outcome::Denied);
    let mut tried = try_issue(rooms, caller, &request, &mut about).await;
    if matches!(tried, Err(Failed::Duplicate)) {
        // The same request overtook this one: answer it as a repeat (GR5).
        about = caller.draft(&*rooms.rng, EventKind::GrantIssue, Outcome::Denied);
        tried = try_issue(rooms, caller, &request, &mut about).await;
    }
    match tried {
        Ok(outcome) => Ok(outcome),
        Err(Failed::Duplicate) => Err(Refusal::new(Reason::Conflict)),
        // Already in the log: the commit itself refused.
        Err(Failed::Recorded(refusal)) => Err(refusal),
        Err(Failed::Unrecorded(refusal)) => {
            Err(super::record_denial(rooms, &caller.call, about, refusal).await)
        }
    }
}

/// Whether a refusal still has to be written down.
pub(super) enum Failed {
    /// A row says so already.
    Recorded(Refusal),
    /// Nothing says so yet.
    Unrecorded(Refusal),
    /// The request id was taken at the same moment; a row says so already.
    Duplicate,
}

impl<E: Into<Refusal>> From<E> for Failed {
    fn from(error: E) -> Self {
        Self::Unrecorded(error.into())
    }
}

async fn try_issue(
    rooms: &Rooms,
    caller: &Caller,
    request: &GrantRequest,
    about: &mut EventDraft,
) -> Result<GrantOutcome, Failed> {
    about.scopes_asked = request.scopes.clone();
    about.tool.clone_from(&request.tool);
    about.purpose.clone_from(&request.purpose);
    let spec = rooms.provider_for(caller.id(), &request.provider)?;
    about.provider = Some(spec.id.clone());
    request.check_scopes(spec)?;
    // ID15: an absent or bad assertion ends here; nothing is served from anything shared instead.
    let assertion = rooms.assertion(request.assertion.expose_secret(), caller).await?;
    *about = caller.call.about(about.clone(), assertion.subject(), Some(assertion.label()));
    about.client_id = assertion.client_id().map(str::to_owned);
    about.assertion_sha256 = Some(data_encoding::HEXLOWER.encode(assertion.sha256()));

    let mut names = caller.names(&assertion);
    names.provider = Some(spec.id.clone());
    let epoch = rooms.not_blocked(&names)?;
    let ask = Ask { rooms, caller, request, assertion: &assertion, spec, names, epoch };

    let claim = ask.earlier_claim().await?;
    let verdict = rooms.policy.decide(&ask.question());
    about.policy = Some(verdict.trace().clone());
    if let Some(denial) = verdict.denial() {
        return Err(denial.into());
    }
    if let Some(claim) = claim {
        return redeliver::redeliver(&ask, verdict, claim, about).await;
    }

    let usable = match ask.resolve(&verdict).await? {
        Resolved::Usable(usable) => *usable,
        Resolved::Need(need) => return begin_consent::begin_consent(&ask, *need, about).await,
    };
    about.connection = Some(usable.connection.id.clone());
    about.approval = Some(usable.approval.id.clone());
    let secret = match ask.access(&usable, &verdict).await? {
        Access::Ready(secret) => *secret,
        Access::Need(reason, scopes, quarantined) => {
            if reason == ConsentReason::WiderThanApproved {
                // Only what the owner can mend is asked of them.
                match ask.may_hold(&verdict, &usable.approval, &scopes) {
                    Err(denial) if denial.consent.is_none() => return Err(refused(denial, about)),
                    _ => {}
                }
            }
            let scopes = if scopes.is_empty() { verdict.allowed().clone() } else { scopes };
            let mut need = Need::of(reason, &scopes).about(usable.connection);
            need.quarantined = quarantined.is_some();
            return begin_consent::begin_consent(&ask, need, about).await;
        }
    };
    ask.issue(usable, verdict, secret, about).await
}

/// A denial, with every rule that decided in the event about it.
pub(super) fn refused(denial: Denial, about: &mut EventDraft) -> Failed {
    about.policy = Some((*denial.policy).clone());
    denial.into()
}

/// The truth about the token handed out: all it can do, until when, and what of it only rules let this workload hold.
pub(super) fn note_token(draft: &mut EventDraft, permit: &Permit<Issue>, secret: &SecretRow) {
    draft.detail.insert("token_scopes", secret.scopes.canonical().into());
    draft.detail.insert("token_expires_at", secret.expires_at.map(|t| t.rfc3339()).into());
    let held = permit.facts().policy.as_ref().and_then(|trace| trace.inputs.get("held_wider"));
    if let Some(held) = held {
        draft.detail.insert("held_wider", held.clone());
    }
}

impl Ask<'_> {
    fn question(&self) -> Question<'_> {
        Question {
            subject: self.assertion.subject(),
            issuer: self.assertion.issuer(),
            roles: self.assertion.roles(),
            acr: self.assertion.acr(),
            auth_time: self.assertion.auth_time(),
            client_id: self.assertion.client_id(),
            workload: self.caller.id(),
            workload_roles: self.caller.workload.roles(),
            provider: self.spec,
            scopes: &self.request.scopes,
            tool: &self.request.tool,
            purpose: &self.request.purpose,
            requested_ttl: self.request.ttl,
            now: self.rooms.clock.now(),
        }
    }

    /// GR5: what answered this request id before, if it was the same request.
    async fn earlier_claim(&self) -> Result<Option<RequestClaim>, Refusal> {
        let Some(key) = self.request.claim_key(self.caller.id(), self.assertion.subject()) else {
            return Ok(None);
        };
        let earlier = self.rooms.store.requests.by_key(&key, self.rooms.clock.now()).await?;
        match earlier {
            Some(claim) if claim.fingerprint != self.fingerprint(&claim) => {
                Err(Refusal::new(Reason::RequestIdReused))
            }
            other => Ok(other),
        }
    }

    fn fingerprint(&self, claim: &RequestClaim) -> [u8; 32] {
        self.request.fingerprint(&self.rooms.keys, self.caller.id(), self.assertion.subject(), claim)
    }

    pub(super) async fn resolve(&self, verdict: &Verdict) -> Result<Resolved, Refusal> {
        let wanted = Wanted {
            subject: self.assertion.subject(),
            workload: self.caller.id(),
            provider: &self.spec.id,
            scopes: verdict.allowed(),
            connection: self.request.connection.as_ref(),
        };
        let (key, rules) = (self.rooms.row_key(), self.rooms.audit.rules());
        // Rows kept in memory may say yes, which the commit checks; only the database itself says no.
        match resolve(&self.rooms.hot, &key, &rules, &wanted).await {
            Ok(Resolved::Usable(usable)) => Ok(Resolved::Usable(usable)),
            _ => resolve(&self.rooms.store, &key, &rules, &wanted).await,
        }
    }

    /// What rules say about a token with these scopes, beyond what can be granted.
    pub(super) fn beyond(&self, verdict: &Verdict, approval: &Approval, token: &ScopeSet) -> Beyond {
        self.rooms.policy.beyond(verdict, &self.question(), &approval.scopes, token)
    }

    fn may_hold(&self, verdict: &Verdict, approval: &Approval, token: &ScopeSet) -> Result<(), Denial> {
        verdict.may_hold(&approval.scopes, token, &self.beyond(verdict, approval, token)).map(drop)
    }

    async fn access(&self, usable: &Usable, verdict: &Verdict) -> Result<Access, Refusal> {
        let may_hold = |token: &ScopeSet| self.may_hold(verdict, &usable.approval, token).is_ok();
        let wanting = Wanting {
            may_hold: &may_hold,
            connection: &usable.connection,
            approval: &usable.approval,
            scopes: verdict.allowed(),
            verdict,
            spec: self.spec,
            names: &self.names_of(usable),
            epoch: self.epoch,
            deadline: self.caller.call.deadline,
        };
        self.rooms.tokens.access(&wanting).await
    }

    pub(super) fn names_of(&self, usable: &Usable) -> Names {
        Names {
            connection: Some(usable.connection.id.clone()),
            approval: Some(usable.approval.id.clone()),
            ..self.names.clone()
        }
    }

    pub(super) fn limits(&self) -> TtlLimits {
        TtlLimits { assertion_expires_at: self.assertion.expires_at(), now: self.rooms.clock.now() }
    }

    /// Permit, row, door, answer: in the only order that compiles.
    async fn issue(
        &self,
        usable: Usable,
        verdict: Verdict,
        secret: SecretRow,
        about: &mut EventDraft,
    ) -> Result<GrantOutcome, Failed> {
        let subject = self.assertion.subject();
        let asked = verdict.allowed().clone();
        let beyond = self.beyond(&verdict, &usable.approval, &secret.scopes);
        let Usable { connection, approval, .. } = &usable;
        let permit = match verdict.issue(subject, connection, approval, &secret, &beyond, self.limits()) {
            Ok(permit) => permit,
            Err(denial) => return self.denied(denial, usable, &secret, &asked, about).await,
        };
        let expires_at = permit.facts().expires_at;
        let mut draft = about.clone();
        draft.outcome = Outcome::Allowed;
        draft.personal.account_label = Some(usable.connection.account.label.clone());
        draft.ttl_seconds = expires_at.map(|end| end.unix_seconds() - self.rooms.clock.now().unix_seconds());
        note_token(&mut draft, &permit, &secret);
        let claim = self.request.claim_key(self.caller.id(), subject).map(|key| {
            let claim = RequestClaim {
                key,
                fingerprint: [0; 32],
                grant: draft.id.clone(),
                connection: usable.connection.id.clone(),
                scope_key: secret.scope_key(),
                generation: secret.generation,
                grant_expires_at: expires_at.unwrap_or_else(|| self.rooms.clock.now()),
                expires_at: self.rooms.clock.now().plus(CLAIM_LIFE),
            };
            RequestClaim { fingerprint: self.fingerprint(&claim), ..claim }
        });
        let names = self.names_of(&usable);
        let entry = Entry { names, epoch: self.epoch, claim, ..Entry::note(draft) };
        let proof = self.rooms.audit.record(permit, entry, self.caller.call.deadline).await;
        let proof = proof.map_err(|refused| match refused {
            Refused::Duplicate(_) => Failed::Duplicate,
            refused => Failed::Recorded(refused.into()),
        })?;
        let id = proof.event().clone();
        self.open(id, proof, &usable.connection, &secret).await
    }

    /// A denial that the user can mend is answered with a consent.
    async fn denied(
        &self,
        denial: Denial,
        usable: Usable,
        secret: &SecretRow,
        asked: &ScopeSet,
        about: &mut EventDraft,
    ) -> Result<GrantOutcome, Failed> {
        let Some(reason) = denial.consent else { return Err(refused(denial, about)) };
        let scopes = if reason == ConsentReason::WiderThanApproved { &secret.scopes } else { asked };
        begin_consent::begin_consent(self, Need::of(reason, scopes).about(usable.connection), about).await
    }

    /// The door. A value that does not open is quarantined: the owner is asked to connect again (VA9).
    pub(super) async fn open(
        &self,
        id: EventId,
        proof: crate::audit::Audited<Permit<Issue>>,
        connection: &Connection,
        secret: &SecretRow,
    ) -> Result<GrantOutcome, Failed> {
        let grant = proof.event().clone();
        let sealed = Sealed::<AccessToken>::from_envelope(secret.envelope.clone());
        match self.rooms.vault.open(proof, &sealed).await {
            Ok(opened) => Ok(GrantOutcome::Granted(Box::new(Issued {
                id,
                grant: opened.into_grant(),
                token_scopes: secret.scopes.clone(),
                token_expires_at: secret.expires_at,
                connection: connection.clone(),
            }))),
            Err(error) => {
                let effect =
                    if matches!(error, VaultError::Tampered) { vec![self.latch(connection)] } else { vec![] };
                let refusal = Refusal::from(error);
                let mut draft = self.caller.draft(&*self.rooms.rng, EventKind::GrantFailed, Outcome::Failed);
                draft = draft.about(self.assertion.subject());
                draft.provider = Some(connection.provider.clone());
                draft.connection = Some(connection.id.clone());
                draft.grant = Some(grant);
                draft.reason = Some(refusal.reason);
                let entry = Entry { effect, ..Entry::note(draft) };
                // The grant's own row stands; this is a second event that names it, never a second decision (AU1).
                match self.rooms.audit.note(entry, self.caller.call.deadline).await {
                    Ok(_) | Err(Refused::NotApplied) => Err(Failed::Recorded(refusal)),
                    Err(refused) => Err(Failed::Recorded(refused.into())),
                }
            }
        }
    }

    fn latch(&self, connection: &Connection) -> Write {
        let expected_version = connection.version;
        let state = ConnectionState::ReauthRequired;
        let row = Connection { state, version: expected_version + 1, ..connection.clone() };
        Write::UpdateConnection { row: self.rooms.row_key().tag(row), expected_version }
    }
}
