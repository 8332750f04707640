//! Puts steps into lines: a number, a headline, the time it took, and below it what happened.

use std::error::Error;
use std::future::Future;
use std::io::{self, Write};

use broker::domain::{Clock, SystemClock};

/// Columns of a line, the time of a step right-aligned at the end.
const WIDTH: usize = 94;

/// What went wrong inside a step.
pub(super) type Mishap = Box<dyn Error + Send + Sync>;

/// What came of a step: what later steps need, and what is told.
pub(super) struct Told<T> {
    pub(super) value: T,
    pub(super) lines: Vec<String>,
}

/// A step on its way.
pub(super) type Scene<T> = Result<Told<T>, Mishap>;

impl Told<()> {
    /// Nothing for later steps.
    pub(super) fn lines(lines: impl IntoIterator<Item = impl Into<String>>) -> Scene<()> {
        Told::with((), lines)
    }
}

impl<T> Told<T> {
    /// `value` for later steps.
    pub(super) fn with(value: T, lines: impl IntoIterator<Item = impl Into<String>>) -> Scene<T> {
        Ok(Told { value, lines: lines.into_iter().map(Into::into).collect() })
    }
}

/// Fails the step unless `holds`.
pub(super) fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Mishap> {
    if holds { Ok(()) } else { Err(otherwise().into()) }
}

/// The step that did not go as it must.
#[derive(Debug, thiserror::Error)]
#[error("step {number} ({title}) failed: {why}")]
pub struct StepFailed {
    /// Its number, from 1; 0 = the telling itself.
    pub number: usize,
    /// Its headline.
    pub title: String,
    /// What was wrong.
    pub why: Mishap,
}

impl From<io::Error> for StepFailed {
    fn from(error: io::Error) -> StepFailed {
        StepFailed { number: 0, title: "telling the story".to_owned(), why: error.into() }
    }
}

/// How the story looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// Text alone.
    #[default]
    Plain,
    /// With the colours of a terminal (ECMA-48 SGR).
    Colour,
}

impl Style {
    fn paint(self, code: &str, text: &str) -> String {
        match self {
            Style::Plain => text.to_owned(),
            Style::Colour => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        }
    }

    fn bold(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn dim(self, text: &str) -> String {
        self.paint("2", text)
    }

    fn green(self, text: &str) -> String {
        self.paint("32", text)
    }

    fn red(self, text: &str) -> String {
        self.paint("31", text)
    }
}

/// Tells.
pub(super) struct Teller<'a> {
    out: &'a mut dyn Write,
    style: Style,
    clock: SystemClock,
    number: usize,
}

impl<'a> Teller<'a> {
    pub(super) fn new(out: &'a mut dyn Write, style: Style) -> Teller<'a> {
        Teller { out, style, clock: SystemClock::default(), number: 0 }
    }

    pub(super) fn opening(&mut self) -> io::Result<()> {
        let title = self.style.bold("The token broker, from a tool call to the audit log");
        writeln!(self.out, "\n  {title}\n")?;
        for line in [
            "alice's AI agent wants to use her notes at a SaaS. The tool server between them stores no token",
            "and knows no password: for each use it asks the broker, who decides, writes it down, and only",
            "then hands out a short-lived token. Everything below is real and runs on this machine.",
        ] {
            writeln!(self.out, "  {line}")?;
        }
        writeln!(self.out)
    }

    /// Says something between two steps, at once.
    pub(super) fn say(&mut self, lines: &[String]) -> io::Result<()> {
        writeln!(self.out)?;
        for line in lines {
            writeln!(self.out, "     {}", self.style.bold(line))?;
        }
        writeln!(self.out)?;
        self.out.flush()
    }

    /// Waits for a step and tells it.
    pub(super) async fn step<T>(
        &mut self,
        title: &str,
        scene: impl Future<Output = Scene<T>>,
    ) -> Result<T, StepFailed> {
        self.number += 1;
        let began = self.clock.monotonic();
        let outcome = scene.await;
        let took = format!("{} ms", self.clock.monotonic().saturating_sub(began).as_millis());
        let dots = WIDTH.saturating_sub(title.chars().count() + took.chars().count() + 8);
        let dots = self.style.dim(&"·".repeat(dots));
        let number = format!("{:>3}", self.number);
        match outcome {
            Ok(told) => {
                let (number, title) = (self.style.green(&number), self.style.bold(title));
                writeln!(self.out, "{number}  {title} {dots} {}", self.style.dim(&took))?;
                for line in told.lines {
                    writeln!(self.out, "     {line}")?;
                }
                self.out.flush()?;
                Ok(told.value)
            }
            Err(why) => {
                writeln!(self.out, "{}  {title} {dots} {took}", self.style.red(&number))?;
                writeln!(self.out, "     {}", self.style.red("this did not go as it must"))?;
                Err(StepFailed { number: self.number, title: title.to_owned(), why })
            }
        }
    }

    pub(super) fn ending(&mut self) -> io::Result<()> {
        let title = self.style.bold("What to try next");
        writeln!(self.out, "\n  {title}")?;
        for (what, why) in [
            ("README.md", "what this is, and the walk of one request"),
            ("cargo run -p demo -- --interactive", "the same, with you as alice in your own browser"),
            ("cargo run -p demo -- --keep", "the same, left running, with commands to try"),
            ("cargo run -p broker -- init DIR", "a configuration of your own to start from"),
            ("cargo run -p broker -- --help", "serve, workload add, policy test, audit verify"),
        ] {
            writeln!(self.out, "  {what:<36}{}", self.style.dim(why))?;
        }
        Ok(())
    }
}
