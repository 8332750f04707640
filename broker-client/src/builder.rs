//! How a client is described.

use crate::call::Caller;
use crate::link::Link;
use crate::{Client, Clock, Credential, Error, SystemClock, Tls};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// Describes a [`Client`].
pub struct ClientBuilder {
    address: String,
    credential: Option<Credential>,
    tls: Option<Tls>,
    deadline: Duration,
    attempts: usize,
    clock: Arc<dyn Clock>,
}

impl ClientBuilder {
    pub(crate) fn new(address: String) -> Self {
        Self {
            address,
            credential: None,
            tls: None,
            deadline: Duration::from_secs(10),
            attempts: 4,
            clock: Arc::new(SystemClock::default()),
        }
    }

    /// Who this workload is. Required.
    pub fn credential(mut self, credential: Credential) -> Self {
        self.credential = Some(credential);
        self
    }

    /// How the connection is protected. Required for `https://`.
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = Some(tls);
        self
    }

    /// How long one call may take, all attempts together. 10 s unless set.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// How often one call may be sent at most. 4 unless set; 1 means that nothing is repeated.
    pub fn attempts(mut self, attempts: usize) -> Self {
        self.attempts = attempts;
        self
    }

    /// Where the time comes from; for tests.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Reads the credential and the TLS files and makes the client. The broker is dialled on the first call, so it need not be
    /// up yet.
    ///
    /// # Errors
    /// [`Error::Configuration`] for an address, credential or file that cannot be used.
    pub async fn connect(self) -> Result<Client, Error> {
        let credential = self.credential.ok_or_else(|| Error::configuration("a credential is needed"))?;
        credential.current(self.clock.as_ref()).await?;
        if self.deadline.is_zero() || self.attempts == 0 {
            return Err(Error::configuration("deadline and attempts must be more than zero"));
        }
        let link = Link::new(&self.address, self.tls, self.clock.as_ref()).await?;
        Ok(Client::new(Caller {
            link,
            credential,
            deadline: self.deadline,
            attempts: self.attempts,
            clock: self.clock,
        }))
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("credential", &self.credential)
            .field("tls", &self.tls)
            .field("deadline", &self.deadline)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}
