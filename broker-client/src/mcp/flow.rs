//! From a tool's call to a grant, or to what its client is answered.

use super::answer::Answer;
use super::call::{Reply, ToolCall};
use super::peer::Peer;
use super::prompt::Prompt;
use super::state::{StateError, StateKey, Waiting};
use crate::proto::ConsentState;
use crate::{Assertion, BatchOutcome, BatchRequest, Client, Grant, GrantRequest, Outcome, TokenSource};
use std::fmt;
use std::time::Duration;

/// How long one retry waits for the user unless set otherwise. MCP clients give up after some eight to ten retries, and many
/// end a request after a minute.
const PATIENCE: Duration = Duration::from_secs(25);

/// Gives a tool its grant, asking the user where that is needed in the way their client understands.
pub struct ConsentFlow {
    source: TokenSource,
    key: StateKey,
    patience: Duration,
}

impl ConsentFlow {
    /// Grants come from `source`; what clients hold in between is sealed under `key`.
    pub fn new(source: TokenSource, key: StateKey) -> Self {
        Self { source, key, patience: PATIENCE }
    }

    /// How long one retry waits for the user before it asks again. 25 s unless set; zero never waits.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Where the grants come from.
    pub fn source(&self) -> &TokenSource {
        &self.source
    }

    /// The grant for `request`, made for `call` of this client. A retry waits a while for the user to finish.
    ///
    /// # Errors
    /// What to answer the client instead of the tool's result.
    pub async fn grant(&self, request: &GrantRequest, call: &ToolCall, peer: Peer) -> Result<Grant, Answer> {
        self.wait_for_user(&request.assertion, call, peer).await?;
        match self.source.grant(request).await {
            Ok(Outcome::Grant(grant)) => Ok(grant),
            Ok(Outcome::ConsentRequired(consent)) => {
                let prompt = Prompt::new(&request.provider, &consent);
                Err(self.ask(&prompt, &request.assertion, call, peer))
            }
            Err(error) => Err(Answer::failure(&error, peer)),
        }
    }

    /// As [`grant`](Self::grant), for several at once: a grant for every item, in their order. Where something is missing, the
    /// client gets one link, to the page that leads its user through all of it.
    ///
    /// # Errors
    /// What to answer the client instead of the tool's result.
    pub async fn grants(
        &self,
        request: &BatchRequest,
        call: &ToolCall,
        peer: Peer,
    ) -> Result<Vec<Grant>, Answer> {
        self.wait_for_user(request.assertion(), call, peer).await?;
        match self.source.grants(request).await {
            Ok(BatchOutcome::Grants(grants)) => Ok(grants),
            Ok(BatchOutcome::ConsentRequired(required)) => {
                let prompt = Prompt::batch(request, &required);
                Err(self.ask(&prompt, request.assertion(), call, peer))
            }
            Err(error) => Err(Answer::failure(&error, peer)),
        }
    }

    /// Of a retry: waits for what it waits for, all in all no longer than one's patience.
    async fn wait_for_user(&self, assertion: &Assertion, call: &ToolCall, peer: Peer) -> Result<(), Answer> {
        let Some(waiting) = self.opened(assertion, call)? else { return Ok(()) };
        if call.reply() == Some(Reply::Declined) {
            return Err(Answer::declined(peer));
        }
        let until = self.client().clock().monotonic().saturating_add(self.patience);
        for id in &waiting.consent_ids {
            let left = until.saturating_sub(self.client().clock().monotonic());
            self.wait(assertion, id, left, peer).await?;
        }
        Ok(())
    }

    /// What the retry waits for. A state that is over, or under a key that is, grants a fresh start; one that was changed is refused, not ignored.
    fn opened(&self, assertion: &Assertion, call: &ToolCall) -> Result<Option<Waiting>, Answer> {
        let Some(state) = call.request_state() else { return Ok(None) };
        let now = self.client().clock().now();
        match self.key.open(state, &call.binding(assertion), now) {
            Ok(waiting) => Ok(Some(waiting)),
            Err(StateError::Expired) => Ok(None),
            Err(StateError::Invalid) => {
                Err(Answer::invalid_params("requestState: was not made for this call of this user"))
            }
        }
    }

    /// Waits until the consent is over, or for as long as `patience` lasts. The broker shows it to its own user alone.
    async fn wait(
        &self,
        assertion: &Assertion,
        consent_id: &str,
        patience: Duration,
        peer: Peer,
    ) -> Result<(), Answer> {
        let assertion = Some(assertion);
        let state = if patience.is_zero() {
            self.client().get_consent(consent_id, assertion).await.map(|consent| consent.state())
        } else {
            match self.client().watch_consent(consent_id, assertion, patience).await {
                Ok(watch) => watch.finished().await.map(|consent| consent.state()),
                Err(error) => Err(error),
            }
        };
        match state {
            Ok(ConsentState::Declined) => Err(Answer::declined(peer)),
            Ok(_) => Ok(()),
            // Whatever it is, asking for the grant tells it better.
            Err(error) => {
                tracing::debug!(reason = error.reason(), "the consent is not over yet");
                Ok(())
            }
        }
    }

    fn ask(&self, prompt: &Prompt, assertion: &Assertion, call: &ToolCall, peer: Peer) -> Answer {
        let waiting = Waiting {
            consent_ids: prompt.consent_ids().map(str::to_owned).collect(),
            expire_time: prompt.expire_time(),
        };
        match self.key.seal(&waiting, &call.binding(assertion)) {
            Ok(state) => prompt.answer(peer, &state),
            Err(error) => Answer::failure(&error, peer),
        }
    }

    fn client(&self) -> &Client {
        self.source.client()
    }
}

impl fmt::Debug for ConsentFlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ConsentFlow").field("patience", &self.patience).finish_non_exhaustive()
    }
}
