//! The `broker` binary on a terminal of its own, as a person has it: what is shown, and what is typed.

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use tokio::process::{Child, Command};
use tokio::sync::watch;

use crate::process::broker_binary;

/// Longest that a question or an end may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A command on a terminal. Killed when dropped.
pub struct Terminal {
    child: Child,
    keyboard: File,
    shown: watch::Receiver<Shown>,
}

#[derive(Default)]
struct Shown {
    text: String,
    ended: bool,
}

impl Terminal {
    /// Starts `broker` with these arguments in `directory`.
    ///
    /// # Panics
    /// When there is no terminal to be had, or the binary does not start.
    pub fn run(directory: &Path, args: &[&str]) -> Terminal {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
        grantpt(&controller).and_then(|()| unlockpt(&controller)).expect("it can be opened");
        let name = ptsname(&controller, Vec::new()).expect("it has a name").into_string().expect("text");
        let screen = OpenOptions::new().read(true).write(true).open(name).expect("its other side");
        let side = || Stdio::from(screen.try_clone().expect("a descriptor"));
        let mut command = Command::new(broker_binary());
        command.args(args).current_dir(directory).env_remove("BROKER_CONFIG").kill_on_drop(true);
        let child = command.stdin(side()).stdout(side()).stderr(side()).spawn().expect("it starts");
        let keyboard = File::from(controller);
        let (writer, shown) = watch::channel(Shown::default());
        let reading = keyboard.try_clone().expect("a descriptor");
        // Ends when the command does: then nobody holds the other side any more.
        std::thread::spawn(move || read(reading, &writer));
        Terminal { child, keyboard, shown }
    }

    /// Waits until `text` was shown.
    ///
    /// # Panics
    /// When the command ends first, or takes too long.
    pub async fn shows(&mut self, text: &str) {
        let until = self.shown.wait_for(|shown| shown.ended || shown.text.contains(text));
        let found = tokio::time::timeout(PATIENCE, until).await;
        let found = found.is_ok_and(|seen| seen.is_ok_and(|shown| shown.text.contains(text)));
        assert!(found, "it never showed {text:?}:\n{}", self.shown.borrow().text);
    }

    /// Types a line.
    ///
    /// # Panics
    /// When the terminal is gone.
    pub fn types(&mut self, line: &str) {
        self.keyboard.write_all(format!("{line}\n").as_bytes()).expect("typed");
    }

    /// Waits for its end: the exit code, and all that was shown.
    ///
    /// # Panics
    /// When it does not end in time or was ended by a signal.
    pub async fn ended(mut self) -> (i32, String) {
        let waiting = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let status = waiting.expect("it ends in time").expect("it can be waited for");
        let all = self.shown.wait_for(|shown| shown.ended).await.map(|shown| shown.text.clone());
        (status.code().expect("no signal"), all.expect("read to the end"))
    }
}

fn read(mut from: File, into: &watch::Sender<Shown>) {
    let mut buffer = [0; 4096];
    // At the end Linux answers EIO.
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        into.send_modify(|shown| shown.text.push_str(&String::from_utf8_lossy(&buffer[..length])));
    }
    into.send_modify(|shown| shown.ended = true);
}
