//! `cargo run -p demo`: the whole story on this machine. Exits 0, or 1 naming the step that failed.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use demo::story::{self, Stage, Style};
use demo::world::{ALICE, Options};
use tracing_subscriber::EnvFilter;

/// Runs a token broker and everything around it on this machine and tells what happens.
#[derive(Parser)]
#[command(name = "demo", version)]
struct Arguments {
    /// Leave everything running at the end, with a link to open in your own browser, until Ctrl-C.
    #[arg(long)]
    stay: bool,
    /// Keep the broker's directory (configuration, keys, database), to look into it with the broker's command line.
    #[arg(long)]
    keep: bool,
    /// Show the broker's own log on stderr, from this level on: error, warn, info or debug.
    #[arg(long, value_name = "LEVEL", value_parser = ["error", "warn", "info", "debug"])]
    log: Option<String>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if let Some(level) = &arguments.log {
        // Both are the broker's own; its libraries would only drown it.
        let filter = EnvFilter::new(format!("off,broker={level},broker_client={level}"));
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).init();
    }
    let mut out = io::stdout();
    let colour = out.is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let style = if colour { Style::Colour } else { Style::Plain };
    let options = Options { keep_directory: arguments.keep, ..Options::default() };
    let told = tokio::select! {
        told = story::tell(&mut out, style, options) => told,
        // What was started ends with its future: ports close, the directory is removed.
        _ = tokio::signal::ctrl_c() => return ExitCode::from(130),
    };
    match told {
        Ok(stage) => match after(&mut out, &arguments, stage).await {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => fail(&error),
        },
        Err(failed) => fail(&failed),
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("demo: {error}");
    ExitCode::FAILURE
}

async fn after(out: &mut impl Write, arguments: &Arguments, stage: Stage) -> io::Result<()> {
    if arguments.stay {
        writeln!(
            out,
            "\n  Everything is still running. Open the link of step 13 in your browser, as alice:"
        )?;
        writeln!(out, "  at the SSO    {} / {}", ALICE.sso.name, ALICE.sso.password)?;
        writeln!(out, "  at Notes      {} / {}", ALICE.notes.name, ALICE.notes.password)?;
        writeln!(
            out,
            "  Her list of connections: {}/connections. Ctrl-C ends it all.",
            stage.world.web_url()
        )?;
        tokio::signal::ctrl_c().await?;
    }
    let directory = stage.world.directory().to_owned();
    stage.clear().await;
    if arguments.keep {
        let config = directory.join("broker.yaml");
        writeln!(out, "\n  Kept: {}", directory.display())?;
        writeln!(out, "  cargo run -p broker -- audit list --config {}", config.display())?;
    }
    Ok(())
}
