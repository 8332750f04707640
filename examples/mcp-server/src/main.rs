//! `mcp-server`: serves the tools over streamable HTTP.

use broker_client::bearer::ProtectedResource;
use broker_client::mcp::{ConsentFlow, StateKey};
use broker_client::{Client, Credential, Tls, TokenSource};
use clap::Parser;
use mcp_server::{Api, NotesServer, http_client, router};
use rustls::RootCertStore;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use tracing_subscriber::EnvFilter;

/// An MCP server in front of a notes API, acting for its users with grants of a token broker.
#[derive(Parser)]
#[command(name = "mcp-server", version)]
struct Arguments {
    /// Where to listen. Put your TLS proxy in front of it.
    #[arg(long, default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// The address of the MCP endpoint as clients know it, such as https://notes.example/mcp.
    #[arg(long)]
    resource: String,
    /// The issuer of the users' tokens: where clients sign in.
    #[arg(long)]
    issuer: String,
    /// The broker, https://host:port, or http:// on this machine.
    #[arg(long)]
    broker: String,
    /// The certificate authority of the broker, PEM. Required for https.
    #[arg(long)]
    broker_ca: Option<PathBuf>,
    /// The file with this server's workload credential.
    #[arg(long)]
    credential: PathBuf,
    /// The file with the secret for request states, at least 32 bytes. Left out, one is made for this run.
    #[arg(long)]
    state_secret: Option<PathBuf>,
    /// The provider, as the broker names it.
    #[arg(long, default_value = "notes")]
    provider: String,
    /// The notes API, without a slash at the end.
    #[arg(long)]
    notes: String,
    /// The certificate authority of the notes API and the calendar, PEM. Required for https.
    #[arg(long)]
    notes_ca: Option<PathBuf>,
    /// The calendar, without a slash at the end: adds the tool that needs it beside the notes API.
    #[arg(long)]
    calendar: Option<String>,
    /// The calendar's provider, as the broker names it.
    #[arg(long, default_value = "calendar")]
    calendar_provider: String,
    /// What to tell on stderr, of this server and the broker's client alone: error, warn, info, debug or trace.
    #[arg(long, default_value = "info", value_parser = ["error", "warn", "info", "debug", "trace"])]
    log: String,
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let arguments = Arguments::parse();
    // A library's own log may tell more about requests than is good for it: ours and the client's alone.
    let filter = EnvFilter::new(format!("off,mcp_server={0},broker_client={0}", arguments.log));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();

    let builder = Client::builder(&arguments.broker).credential(Credential::file(&arguments.credential));
    let builder = match &arguments.broker_ca {
        Some(ca) => builder.tls(Tls::ca_file(ca)),
        None => builder,
    };
    let key = match &arguments.state_secret {
        Some(file) => StateKey::new(&std::fs::read(file)?)?,
        None => StateKey::random()?,
    };
    let flow = ConsentFlow::new(TokenSource::new(builder.connect().await?), key);
    let http = http_client(roots(arguments.notes_ca.as_ref())?)?;
    let server = NotesServer::new(flow, &arguments.provider, Api::notes(http.clone(), &arguments.notes));
    let server = match &arguments.calendar {
        Some(origin) => server.with_calendar(&arguments.calendar_provider, Api::calendar(http, origin)),
        None => server,
    };
    let resource = ProtectedResource::new(&arguments.resource)?.authorization_server(&arguments.issuer);
    let hosts = [resource.authority().to_owned(), "127.0.0.1".to_owned(), "localhost".to_owned()];
    let router = router(server, &resource, &hosts)?;

    let listener = tokio::net::TcpListener::bind(arguments.listen).await?;
    tracing::info!(address = %listener.local_addr()?, "listening");
    axum::serve(listener, router)
        .with_graceful_shutdown(async { drop(tokio::signal::ctrl_c().await) })
        .await?;
    Ok(())
}

fn roots(file: Option<&PathBuf>) -> Result<RootCertStore, Failure> {
    let mut roots = RootCertStore::empty();
    if let Some(file) = file {
        for certificate in CertificateDer::pem_file_iter(file)? {
            roots.add(certificate?)?;
        }
    }
    Ok(roots)
}
