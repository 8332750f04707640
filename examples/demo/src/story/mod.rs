//! The whole story, one numbered step at a time: what happened, and how long it took.
//!
//! Every step asserts its own outcome: a broker that serves where it should refuse fails the step just as one that
//! refuses where it should serve. Nothing secret is told: links are, tokens and assertions are not.

mod kept;
mod scenes;
mod stage;
mod teller;

use std::io::Write;

pub use kept::kept;
pub use stage::Stage;
pub use teller::{StepFailed, Style};

use crate::world::Options;
use teller::Teller;

/// Tells the story from the start to the end, in plain text.
///
/// # Errors
/// [`StepFailed`], naming the step that did not go as it must.
pub async fn run(out: &mut dyn Write) -> Result<(), StepFailed> {
    tell(out, Style::Plain, Options::default()).await?.clear().await;
    Ok(())
}

/// Who opens the first link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alice {
    /// A browser that walks the pages by itself.
    Played,
    /// Whoever watches, in a browser of their own: the story waits.
    You,
}

/// As [`tell_with`], with alice played.
///
/// # Errors
/// As [`run`].
pub async fn tell(out: &mut dyn Write, style: Style, options: Options) -> Result<Stage, StepFailed> {
    tell_with(out, style, Alice::Played, options).await
}

/// Tells the story in a world of these options and leaves the stage standing, with a link that alice has not opened
/// yet.
///
/// # Errors
/// As [`run`].
pub async fn tell_with(
    out: &mut dyn Write,
    style: Style,
    alice: Alice,
    options: Options,
) -> Result<Stage, StepFailed> {
    let mut teller = Teller::new(out, style);
    teller.opening()?;
    let stage = teller.step("Everything starts", Stage::set(options)).await?;

    let t = &mut teller;
    let link = t.step("alice's agent asks Ticket helper to write a note", scenes::ask::first(&stage)).await?;
    match alice {
        Alice::Played => t.step("alice opens the link", scenes::connect::alice(&stage, &link.url)).await?,
        Alice::You => {
            t.say(&scenes::connect::invitation(&link.url))?;
            t.step("You opened the link, as alice", scenes::connect::you(&stage, &link.consent)).await?;
        }
    }
    t.step("Her agent asks again, and the note is written", scenes::ask::again(&stage)).await?;
    let narrow = t.step("It asks for less: a narrower grant", scenes::ask::narrower(&stage)).await?;
    t.step("And once more", scenes::ask::remembered(&stage, &narrow)).await?;
    let link = t.step("Another tool server wants the same notes", scenes::second::asks(&stage)).await?;
    t.step("bob opens alice's link", scenes::second::bob(&stage, &link)).await?;
    t.step("alice opens it herself", scenes::second::alice(&stage, &link)).await?;
    t.step("A token minted for one server is shown by another", scenes::second::misdirected(&stage)).await?;
    let link = t.step("bob's agent asks for two systems at once", scenes::several::asks(&stage)).await?;
    t.step("bob opens the one link", scenes::several::bob(&stage, &link)).await?;
    t.step("His agent asks again, and the week is planned", scenes::several::planned(&stage)).await?;
    t.step("bob is asked for more than he gave", scenes::wider::bob(&stage)).await?;
    t.step("alice disconnects", scenes::disconnect::alice(&stage)).await?;
    t.step("The next tool call asks again", scenes::disconnect::asked_again(&stage)).await?;
    let told = t.step("An auditor reads the log", scenes::audit::read(&stage)).await?;
    t.step("The log proves itself", scenes::audit::verify(&stage, told)).await?;
    teller.ending()?;
    Ok(stage)
}

#[cfg(test)]
mod tests;
