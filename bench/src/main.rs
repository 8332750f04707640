//! Measures the broker against limits taken beside it, in the same run on the same machine: an echo, a floor that does
//! the least any such broker must do, bare ring, one commit. See docs/performance.md.
//!
//! Benchmarks are programs, not tests: a goal that is missed is printed as such and changes nothing. The exit code is 1
//! when a figure could not be measured.

mod anatomy;
mod bench;
mod call;
mod child;
mod dialect;
mod ending;
mod estate;
mod figures;
mod finding;
mod load;
mod machine;
mod provider;
mod replica;
mod report;
mod rivals;
mod stand;

use bench::{Bench, Pace, progress};
use broker::domain::{Clock, SystemClock};
use clap::{Parser, ValueEnum};
use dialect::Dialect;
use figures::{Figure, Measured};
use report::Report;
use std::{path::PathBuf, process::ExitCode, time::Duration};

/// The broker's own, for every side alike.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Why something could not be measured.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Measures the broker. Build with `--profile bench`, and leave the machine alone meanwhile.
#[derive(Parser)]
#[command(name = "broker-bench", version)]
struct Arguments {
    /// Only this figure; may be given several times.
    #[arg(long, value_enum)]
    figure: Vec<Figure>,
    /// On which database.
    #[arg(long, value_enum, default_value = "sqlite")]
    dialect: Dialect,
    /// Measurements of each side.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..=100))]
    runs: u16,
    /// Short runs on few people: to see whether it works, not what it says.
    #[arg(long)]
    quick: bool,
    /// Name the figures and end.
    #[arg(long)]
    list: bool,
    /// Take a warm call apart instead: what each step costs by itself.
    #[arg(long)]
    anatomy: bool,
    /// Write everything to this file as JSON.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw the ratios into this file.
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Serve this configuration until the input ends: how the memory figure starts a broker in a process of its own.
    #[arg(long, hide = true, value_name = "CONFIG")]
    serve: Option<PathBuf>,
    /// Be a provider that answers after so many milliseconds, until the input ends.
    #[arg(long, hide = true, value_name = "MILLISECONDS")]
    provide: Option<u64>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = match (&arguments.serve, arguments.provide) {
        (Some(config), _) => child::serve(config).await.map(|()| true),
        (None, Some(delay)) => provider::serve(Duration::from_millis(delay)).await.map(|()| true),
        _ if arguments.list => Ok(list()),
        _ if arguments.anatomy => take_apart(&arguments).await,
        _ => measure(&arguments).await,
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("broker-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn list() -> bool {
    for figure in Figure::ALL {
        if let Some(value) = figure.to_possible_value() {
            let help = value.get_help().map(ToString::to_string).unwrap_or_default();
            println!("{:<10} {help}", value.get_name());
        }
    }
    true
}

fn set_up(arguments: &Arguments) -> Result<Bench, Fault> {
    let runs = usize::from(arguments.runs);
    let pace = if arguments.quick { Pace::quick(runs) } else { Pace::full(runs) };
    if cfg!(debug_assertions) {
        progress("this is a debug build: its figures say nothing");
    }
    Bench::new(arguments.dialect, pace)
}

async fn take_apart(arguments: &Arguments) -> Result<bool, Fault> {
    let mut bench = set_up(arguments)?;
    let steps = anatomy::anatomy(&mut bench).await?;
    println!("{}", anatomy::table(&steps));
    bench.close().await;
    Ok(true)
}

/// Whether everything ran.
async fn measure(arguments: &Arguments) -> Result<bool, Fault> {
    let (load, cores) = (machine::load_average(), std::thread::available_parallelism()?.get());
    if let Some(warning) = load.and_then(|load| machine::warning(load, cores)) {
        progress(format!("WARNING: {warning}"));
    }
    let mut bench = set_up(arguments)?;
    let mut report = Report {
        dialect: arguments.dialect.name(),
        cores,
        load,
        began: SystemClock::default().now().rfc3339(),
        quick: arguments.quick || cfg!(debug_assertions),
        findings: Vec::new(),
        not_applicable: Vec::new(),
        failed: Vec::new(),
    };
    let figures = if arguments.figure.is_empty() { Figure::ALL.to_vec() } else { arguments.figure.clone() };
    for figure in figures {
        let name = figure.to_possible_value().map(|value| value.get_name().to_owned()).unwrap_or_default();
        progress(format!("— {name}"));
        match figure.measure(&mut bench).await {
            Ok(Measured::Findings(findings)) => report.findings.extend(findings),
            Ok(Measured::DoesNotApply(why)) => report.not_applicable.push((name, why.to_owned())),
            Err(error) => report.failed.push((name, error.to_string())),
        }
        // Written after every figure: an hour's work is not lost with the last one.
        write(arguments, &report)?;
    }
    println!("{}", report::table(&report));
    bench.close().await;
    Ok(report.failed.is_empty())
}

fn write(arguments: &Arguments, report: &Report) -> Result<(), Fault> {
    if let Some(file) = &arguments.json {
        std::fs::write(file, format!("{:#}\n", report::json(report)))?;
    }
    if let Some(file) = &arguments.svg {
        std::fs::write(file, report::svg(report))?;
    }
    Ok(())
}
