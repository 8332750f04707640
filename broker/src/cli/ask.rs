//! Questions to whoever sits at the terminal. Where nobody does, nothing is asked and nothing waits (OP7).

use crate::domain::SecretString;
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use std::io::{self, BufRead, IsTerminal, Write};

/// Longest answer, in bytes.
const LONGEST: u64 = 64 * 1024;

/// Somebody to ask, or nobody.
pub(super) struct Asker {
    somebody: bool,
}

impl Asker {
    /// Asks on the terminal, if standard input and standard error are one and `no_input` is not wanted.
    pub(super) fn new(no_input: bool) -> Self {
        Self { somebody: !no_input && io::stdin().is_terminal() && io::stderr().is_terminal() }
    }

    /// Whether there is somebody to ask.
    pub(super) fn is_there(&self) -> bool {
        self.somebody
    }

    /// A line of text; empty = `default`.
    pub(super) fn text(&self, question: &str, default: Option<&str>) -> io::Result<String> {
        let shown =
            default.filter(|text| !text.is_empty()).map_or(String::new(), |text| format!(" [{text}]"));
        say(&format!("{question}{shown}: "))?;
        let answer = line()?.trim().to_owned();
        Ok(if answer.is_empty() { default.unwrap_or_default().to_owned() } else { answer })
    }

    /// A text that must not be empty: given, or else asked for.
    ///
    /// # Errors
    /// What is missing, when there is nobody to ask.
    pub(super) fn needed(&self, given: Option<&String>, question: &str, option: &str) -> io::Result<String> {
        if let Some(given) = given {
            return Ok(given.clone());
        }
        if !self.somebody {
            return Err(io::Error::other(format!("{option} is missing, and there is nobody to ask for it")));
        }
        loop {
            let answer = self.text(question, None)?;
            if !answer.is_empty() {
                return Ok(answer);
            }
        }
    }

    /// Yes or no; anything but yes is no. Nobody there: no.
    pub(super) fn agrees(&self, question: &str) -> io::Result<bool> {
        if !self.somebody {
            return Ok(false);
        }
        say(&format!("{question} [y/N] "))?;
        Ok(matches!(line()?.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// A secret: typed without echo, or a line of standard input where that is no terminal.
    ///
    /// # Errors
    /// Where nobody is to be asked, and standard input is a terminal all the same.
    pub(super) fn secret(&self, question: &str) -> io::Result<SecretString> {
        if !io::stdin().is_terminal() {
            return Ok(SecretString::from(line()?.trim_end_matches(['\r', '\n']).to_owned()));
        }
        if !self.somebody {
            let missing = "the secret is missing, and nobody is to be asked: give it on standard input";
            return Err(io::Error::other(missing));
        }
        // Before the question, so that not even a quick answer is shown.
        let hidden = Hidden::begin()?;
        say(&format!("{question} (not shown): "))?;
        let typed = line();
        drop(hidden);
        say("\n")?;
        Ok(SecretString::from(typed?.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

/// Questions go to standard error: standard output is the answer of the command.
fn say(text: &str) -> io::Result<()> {
    let mut err = io::stderr().lock();
    err.write_all(text.as_bytes())?;
    err.flush()
}

fn line() -> io::Result<String> {
    let mut answer = String::new();
    let read = io::Read::take(io::stdin().lock(), LONGEST).read_line(&mut answer)?;
    if read == 0 {
        return Err(io::Error::other("the input ended before the question was answered"));
    }
    Ok(answer)
}

/// The terminal without echo, until dropped.
struct Hidden {
    before: Termios,
}

impl Hidden {
    fn begin() -> io::Result<Self> {
        let before = tcgetattr(io::stdin())?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        // What was typed ahead is thrown away: it was shown.
        tcsetattr(io::stdin(), OptionalActions::Flush, &silent)?;
        Ok(Self { before })
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        // Nothing could be done about it: the terminal is gone.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}
