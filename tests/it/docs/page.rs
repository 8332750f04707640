//! A page as a list of deeds: fenced blocks, each with the comment above it that says what becomes of it.
//!
//! | comment | the block |
//! |---|---|
//! | `<!-- run -->` | is run by bash in the page's directory, with `broker` on the path; must end with 0 |
//! | `<!-- says -->` | stood in what the last run wrote, line by line |
//! | `<!-- file: NAME -->` | is written to a file |
//! | `<!-- append: NAME -->` | is added to a file |
//! | `<!-- serve -->` | is run until the broker listens, on free ports |

use std::path::{Path, PathBuf};

use broker_tests::process::{BrokerProcess, broker_binary};
use tokio::process::Command;

/// One block.
#[derive(Debug, PartialEq, Eq)]
pub struct Block {
    pub language: String,
    pub directive: Option<String>,
    pub text: String,
}

pub fn blocks(page: &str) -> Vec<Block> {
    let (mut found, mut directive) = (Vec::new(), None);
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(comment) = line.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->")) {
            directive = Some(comment.to_owned());
        } else if let Some(language) = line.strip_prefix("```") {
            let text: String =
                lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
            found.push(Block { language: language.to_owned(), directive: directive.take(), text });
        }
    }
    assert!(directive.is_none(), "{directive:?} stands above no block");
    found
}

/// Does what a page says, in a directory. Answers how many blocks of each directive were there.
pub async fn follow(directory: &Path, page: &str) -> usize {
    let (mut said, mut done) = (String::new(), 0);
    for block in blocks(page) {
        let Some(directive) = &block.directive else { continue };
        let (word, name) = directive.split_once(": ").unwrap_or((directive, ""));
        let path = directory.join(name);
        match word {
            "run" => said = run(directory, &block.text).await,
            "says" => {
                for line in block.text.lines() {
                    assert!(said.contains(line), "the page promises {line:?}; it says\n{said}");
                }
            }
            "file" => std::fs::write(path, &block.text).expect("written"),
            "append" => {
                let before = std::fs::read_to_string(&path).expect("a file to add to");
                std::fs::write(path, format!("{before}\n{}", block.text)).expect("written");
            }
            "serve" => serve(directory, &block.text).await,
            other => panic!("{other:?} is no directive"),
        }
        done += 1;
    }
    done
}

async fn run(directory: &Path, script: &str) -> String {
    let path = format!("{}:{}", binaries().display(), std::env::var("PATH").unwrap_or_default());
    let mut bash = Command::new("bash");
    bash.args(["-euo", "pipefail", "-c", script]).current_dir(directory).env("PATH", path);
    let output = bash.env_remove("BROKER_CONFIG").kill_on_drop(true).output().await.expect("bash runs");
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{script}\nended with {:?}:\n{said}", output.status);
    said
}

fn binaries() -> PathBuf {
    broker_binary().parent().expect("a directory").to_owned()
}

async fn serve(directory: &Path, command: &str) {
    assert_eq!(command, "broker serve\n");
    let path = directory.join("broker.yaml");
    let text = std::fs::read_to_string(&path).expect("the configuration");
    let free = text
        .replace(":7443\"", ":0\"")
        .replace("127.0.0.1:8080\"", "127.0.0.1:0\"")
        .replace(":9090\"", ":0\"");
    std::fs::write(&path, free).expect("written");
    let mut broker = BrokerProcess::serve(directory, "broker.yaml");
    broker.listening().await;
    broker.terminate().await;
    let (status, log) = broker.ended().await;
    assert!(status.success(), "{log}");
}
