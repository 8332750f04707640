//! `cargo run -p demo`: the whole story on this machine. Exits 0, or 1 naming the step that failed.

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use demo::story::{self, Alice, Stage, Style};
use demo::world::Options;
use tracing_subscriber::EnvFilter;

/// Runs a token broker and everything around it on this machine and tells what happens.
#[derive(Parser)]
#[command(name = "demo", version)]
struct Arguments {
    /// Open the first link yourself: prints it, waits for you and your browser, and goes on.
    #[arg(long)]
    interactive: bool,
    /// Leave everything running after the story, with addresses and commands to try, until Ctrl-C; then clean up.
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
    let alice = if arguments.interactive { Alice::You } else { Alice::Played };
    let told = tokio::select! {
        told = story::tell_with(&mut out, style, alice, Options::default()) => told,
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
    if arguments.keep {
        writeln!(out)?;
        for line in story::kept(&stage)? {
            writeln!(out, "  {line}")?;
        }
        out.flush()?;
        tokio::signal::ctrl_c().await?;
    }
    stage.clear().await;
    Ok(())
}
