//! Two connections to the server, over streams and TLS of our own: one that asks, one that listens.

use super::budget::{Bounded, Budget};
use crate::{
    config,
    domain::{Clock, ExposeSecret},
    net::{Destination, NetError, tls::plain_client},
};
use redis::{
    AsyncConnectionConfig, RedisConnectionInfo,
    aio::{MultiplexedConnection, PubSub},
};
use rustls::pki_types::ServerName;
use std::{io, sync::Arc};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;
use tokio_util::task::AbortOnDropHandle;

/// Why there is no connection. The server's own words are not repeated.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error("no connection: {0}")]
    Stream(io::ErrorKind),
    #[error("it does not answer in time")]
    Slow,
    #[error("it refuses: {0:?}")]
    Refused(redis::ErrorKind),
    #[error("what is said does not come back")]
    Deaf,
    #[error("the connection ended")]
    Ended,
}

impl From<io::Error> for WireError {
    fn from(error: io::Error) -> Self {
        Self::Stream(error.kind())
    }
}

impl From<redis::RedisError> for WireError {
    fn from(error: redis::RedisError) -> Self {
        Self::Refused(error.kind())
    }
}

/// Where the server is, and how to get there.
pub(super) struct Wire {
    address: (String, u16),
    tls: Option<(TlsConnector, ServerName<'static>)>,
    login: RedisConnectionInfo,
}

/// A connection that asks; its driver ends with it.
pub(super) struct Asking {
    pub(super) connection: MultiplexedConnection,
    _driver: AbortOnDropHandle<()>,
}

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Wire {
    pub(super) fn new(settings: &config::Redis, clock: Arc<dyn Clock>) -> Result<Self, NetError> {
        let tls = if settings.tls {
            let destination = Destination {
                name: "redis".to_owned(),
                ca_file: settings.ca_file.clone(),
                ..Destination::default()
            };
            let name = ServerName::try_from(settings.host.clone()).map_err(|_| {
                NetError::Misconfigured("redis.url names no host that a certificate could name")
            })?;
            Some((TlsConnector::from(Arc::new(plain_client(&destination, clock)?)), name))
        } else {
            None
        };
        let mut login = RedisConnectionInfo::default().set_db(settings.database.into());
        if let Some(user) = &settings.user {
            login = login.set_username(user);
        }
        if let Some(password) = &settings.password {
            login = login.set_password(password.expose_secret());
        }
        Ok(Self { address: (settings.host.clone(), settings.port), tls, login })
    }

    async fn stream(&self, budget: &Budget) -> io::Result<Bounded<Box<dyn Stream>>> {
        let tcp = TcpStream::connect((self.address.0.as_str(), self.address.1)).await?;
        tcp.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match &self.tls {
            Some((connector, name)) => Box::new(connector.connect(name.clone(), tcp).await?),
            None => Box::new(tcp),
        };
        Ok(Bounded { stream, budget: budget.clone() })
    }

    pub(super) async fn asking(&self, budget: &Budget) -> Result<Asking, WireError> {
        let stream = self.stream(budget).await?;
        let (connection, driver) =
            MultiplexedConnection::new_with_config(&self.login, stream, AsyncConnectionConfig::new()).await?;
        Ok(Asking { connection, _driver: AbortOnDropHandle::new(tokio::spawn(driver)) })
    }

    pub(super) async fn listening(&self, budget: &Budget, channel: &str) -> Result<PubSub, WireError> {
        let stream = self.stream(budget).await?;
        let mut listening = PubSub::new(&self.login, stream).await?;
        listening.subscribe(channel).await?;
        Ok(listening)
    }
}
