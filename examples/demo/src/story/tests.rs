//! The story is told to its end, and gives nothing away.

use std::io::{self, Write};

use tokio::sync::mpsc;

use super::{
    Alice, StepFailed, kept, run, tell, tell_with,
    teller::{Style, Teller, Told},
};

use crate::browser::Browser;
use crate::clock;
use crate::walk;
use crate::world::{ALICE, BOB, Options, Person};

const STEPS: usize = 18;

/// Proves: VA10
#[tokio::test]
async fn the_whole_story_is_told_and_holds_no_secret() {
    let mut transcript = Vec::new();
    let outcome = tell(&mut transcript, Style::Plain, Options::default()).await;
    let transcript = String::from_utf8(transcript).expect("text");
    let stage = outcome.unwrap_or_else(|failed| panic!("{failed}\n{transcript}"));

    for number in 1..=STEPS {
        let head = format!("{number:>3}  ");
        let told = transcript.lines().filter(|line| line.starts_with(&head) && line.ends_with(" ms")).count();
        assert_eq!(told, 1, "step {number} in\n{transcript}");
    }
    for words in [
        "Connect your Notes account so that Ticket helper can use it for you.",
        "alice@notes.example",
        "This link is not for this account",
        "ASSERTION_AUDIENCE",
        "2 of 2 done",
        "bob@calendar.example   calendar.read  “bob's first appointment”",
        "Ticket helper needs more access to your Notes account than it has.",
        "and now gets 401",
        "connection.revoked",
        "verified: ",
        "README.md",
    ] {
        assert!(transcript.contains(words), "{words:?} in\n{transcript}");
    }
    let secrets = stage.secrets().expect("read");
    assert!(secrets.len() >= 16, "{}", secrets.len());
    // And the forms that tokens have here: JWTs, tokens, codes and sessions of SSO and SaaS, workload secrets.
    let forms =
        ["eyJ", "notes_at_", "notes_rt_", "calendar_at_", "calendar_rt_", "sso_at_", "code_", "sid_", "bws_"]
            .map(str::to_owned);
    for secret in secrets.iter().chain(&forms) {
        assert!(!transcript.contains(secret.as_str()), "{secret:?} in\n{transcript}");
    }
    for line in transcript.lines() {
        assert!(line.chars().count() <= 100, "too wide: {line:?}");
    }
    let directory = stage.world.directory().to_owned();
    assert!(directory.join("broker.db").exists());
    stage.clear().await;
    assert!(!directory.exists(), "the temporary directory is left behind");
}

#[tokio::test]
async fn a_step_that_goes_wrong_is_named() {
    let mut out = Vec::new();
    let mut teller = Teller::new(&mut out, Style::Plain);
    teller.step("first", async { Told::lines(["fine"]) }).await.expect("goes well");
    let failed = teller.step("second", async { Err::<Told<()>, _>("no such page".into()) }).await;
    let failed: StepFailed = failed.expect_err("goes wrong");
    assert_eq!((failed.number, failed.title.as_str()), (2, "second"));
    assert_eq!(failed.to_string(), "step 2 (second) failed: no such page");
    assert!(String::from_utf8(out).expect("text").contains("this did not go as it must"));
}

/// Where policy allows nothing, the second step must fail, and say what came instead of a link.
#[tokio::test]
async fn a_story_that_cannot_go_on_stops_at_its_step() {
    let policy = "// Nobody may have anything.".to_owned();
    let options = Options { policy: Some(policy), ..Options::default() };
    let mut transcript = Vec::new();
    let failed = tell(&mut transcript, Style::Colour, options).await.err().expect("cannot go on");
    assert_eq!(failed.number, 2, "{failed}");
    assert!(failed.to_string().contains("POLICY_DENIED"), "{failed}");
    let transcript = String::from_utf8(transcript).expect("text");
    assert!(
        transcript.contains("this did not go as it must") && !transcript.contains("  3  "),
        "{transcript}"
    );
}

#[tokio::test]
async fn the_plain_telling_cleans_up_after_itself() {
    let mut transcript = Vec::new();
    run(&mut transcript).await.expect("told");
    let transcript = String::from_utf8(transcript).expect("text");
    let line = transcript.lines().find(|line| line.contains("fresh keys in")).expect("says where");
    let directory = line.split_whitespace().last().expect("a path");
    assert!(directory.contains("token-broker-") && !std::path::Path::new(directory).exists(), "{directory}");
    assert!(!transcript.contains('\u{1b}'), "plain text has no colours");
}

/// Hands on what is told while it is told.
struct Listener(mpsc::UnboundedSender<String>);

impl Write for Listener {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(String::from_utf8_lossy(bytes).into_owned()).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Whoever watches: waits for the link and answers it in a browser of their own. Answers all that was told.
async fn watches(mut told: mpsc::UnboundedReceiver<String>, at_notes: &Person, allows: bool) -> String {
    let mut transcript = String::new();
    while !transcript.contains("at Notes      ") {
        transcript.push_str(&told.recv().await.expect("the story asks for somebody"));
    }
    let invitation = transcript.split("It is your turn.").nth(1).expect("an invitation");
    let link =
        invitation.split_whitespace().find(|word| word.starts_with("http://")).expect("a link").to_owned();
    let browser = Browser::new(clock::system(), b"").expect("a browser");
    if allows {
        walk::connect(&browser, &link, &ALICE.sso, &at_notes.notes).await.expect("connected");
    } else {
        let page =
            walk::sign_in(browser.get(&link).await.expect("a page"), &ALICE.sso).await.expect("signed in");
        walk::decline(page).await.expect("declined");
    }
    while let Some(more) = told.recv().await {
        transcript.push_str(&more);
    }
    transcript
}

#[tokio::test]
async fn the_story_waits_for_a_human_and_goes_on_to_its_end() {
    let (sender, told) = mpsc::unbounded_channel();
    let telling = async {
        let mut out = Listener(sender);
        tell_with(&mut out, Style::Plain, Alice::You, Options::default()).await
    };
    let (stage, transcript) = tokio::join!(telling, watches(told, &ALICE, true));
    let stage = stage.unwrap_or_else(|failed| panic!("{failed}\n{transcript}"));
    assert!(
        transcript.contains("You opened the link, as alice") && transcript.contains("verified: "),
        "{transcript}"
    );
    stage.clear().await;
}

#[tokio::test]
async fn a_human_who_declines_or_takes_another_account_is_told_what_went_wrong() {
    for (person, allows, words) in
        [(&ALICE, false, "the link ended as CONSENT_STATE_DECLINED"), (&BOB, true, "alice@notes.example")]
    {
        let (sender, told) = mpsc::unbounded_channel();
        let telling = async {
            let mut out = Listener(sender);
            tell_with(&mut out, Style::Plain, Alice::You, Options::default()).await
        };
        let (failed, transcript) = tokio::join!(telling, watches(told, person, allows));
        let failed = failed.err().unwrap_or_else(|| panic!("{transcript}"));
        assert!(failed.number == 3 && failed.to_string().contains(words), "{failed}");
    }
}

/// Proves: VA10
#[tokio::test]
async fn what_can_be_tried_afterwards_shows_no_secret_and_its_files_are_private() {
    use std::os::unix::fs::PermissionsExt;
    let mut transcript = Vec::new();
    let stage = tell(&mut transcript, Style::Plain, Options::default()).await.expect("told");
    let lines = kept(&stage).expect("written").join("\n");
    for person in [ALICE, BOB] {
        // Her own are what is to be typed; nobody else's are.
        assert_eq!(lines.contains(person.sso.password), person.sso.name == ALICE.sso.name);
    }
    let typed = [ALICE.sso.password, ALICE.notes.password, ALICE.calendar.password];
    for secret in stage.secrets().expect("read").iter().filter(|secret| !typed.contains(&secret.as_str())) {
        assert!(!lines.contains(secret.as_str()), "{lines}");
    }
    for name in ["ticket-helper.secret", "ask.json", "ask-both.json"] {
        let path = stage.world.path(name);
        assert!(lines.contains(&path.display().to_string()), "{lines}");
        assert_eq!(path.metadata().expect(name).permissions().mode() & 0o777, 0o600);
    }
    let directory = stage.world.directory().to_owned();
    stage.clear().await;
    assert!(!directory.exists(), "removed with what was put there");
}
