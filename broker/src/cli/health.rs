//! `broker health`: the standard health service (`grpc.health.v1`) of a running broker, for probes and `helm test`.

use super::{EXIT_PROBLEMS, Outcome, output, runtime};
use clap::Args;
use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic_health::pb::{
    HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient,
};

/// Longest for the connection and the answer together.
const PATIENCE: Duration = Duration::from_secs(5);

/// `broker health`.
#[derive(Args)]
pub(super) struct Health {
    /// The gRPC listener, such as https://broker-grpc:7443, or http:// where a mesh accepts TLS.
    #[arg(long)]
    url: String,
    /// PEM file with the authorities that vouch for it. Required for https.
    #[arg(long)]
    ca_file: Option<PathBuf>,
    /// PEM file with the certificate to show, where the listener asks for one.
    #[arg(long, requires = "key_file")]
    certificate_file: Option<PathBuf>,
    /// PEM file with its private key.
    #[arg(long, requires = "certificate_file")]
    key_file: Option<PathBuf>,
    /// The name its certificate has to carry, when it is not the host of the URL.
    #[arg(long)]
    server_name: Option<String>,
    /// One service, such as broker.v1.GrantService. Left out: the whole broker.
    #[arg(long, default_value = "")]
    service: String,
}

pub(super) fn run(health: &Health) -> Outcome {
    let status = runtime()?.block_on(async {
        match tokio::time::timeout(PATIENCE, ask(health)).await {
            Ok(answer) => answer,
            Err(_) => Err(format!("no answer within {} s", PATIENCE.as_secs()).into()),
        }
    })?;
    output::line(status.as_str_name())?;
    Ok(if status == ServingStatus::Serving { ExitCode::SUCCESS } else { ExitCode::from(EXIT_PROBLEMS) })
}

async fn ask(health: &Health) -> Result<ServingStatus, Box<dyn std::error::Error>> {
    let request = HealthCheckRequest { service: health.service.clone() };
    let answer = HealthClient::new(connect(health).await?).check(request).await;
    let answer = answer.map_err(|status| format!("{}: {}", status.code(), status.message()))?;
    Ok(answer.into_inner().status())
}

async fn connect(health: &Health) -> Result<Channel, Box<dyn std::error::Error>> {
    let mut endpoint = Endpoint::from_shared(health.url.clone()).map_err(|_| "--url is not a URL")?;
    if endpoint.uri().scheme_str() == Some("https") {
        let file = health.ca_file.as_ref().ok_or("https needs --ca-file")?;
        let mut tls = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(read(file)?));
        if let (Some(certificate), Some(key)) = (&health.certificate_file, &health.key_file) {
            tls = tls.identity(Identity::from_pem(read(certificate)?, read(key)?));
        }
        if let Some(name) = &health.server_name {
            tls = tls.domain_name(name);
        }
        endpoint = endpoint.tls_config(tls)?;
    }
    endpoint.connect().await.map_err(|error| {
        // Its own text says "transport error"; the causes say which.
        let mut sentence = error.to_string();
        let mut cause = std::error::Error::source(&error);
        while let Some(error) = cause {
            sentence = format!("{sentence}: {error}");
            cause = error.source();
        }
        sentence.into()
    })
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|error| format!("{}: {}", file.display(), error.kind()))
}
