//! Printing that survives a closed pipe: `broker audit list | head` is not an error.

use crate::consent::words::is_invisible;
use std::io::{self, Write};

/// Writes a line to stdout.
///
/// # Errors
/// What the system said, except for a reader that went away: then the process ends quietly.
pub(super) fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match writeln!(out, "{text}") {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => std::process::exit(0),
        other => other,
    }
}

/// An edited log may hold anything: nothing in a table moves the cursor or turns the text around.
fn tame(cell: &str) -> String {
    cell.chars().map(|c| if is_invisible(c) { '\u{fffd}' } else { c }).collect()
}

/// Aligned columns, two spaces apart; the last is not padded.
pub(super) fn table(header: &[&str], rows: &[Vec<String>]) -> io::Result<()> {
    let widths: Vec<usize> = (0..header.len())
        .map(|column| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.chain([header[column].chars().count()]).max().unwrap_or(0)
        })
        .collect();
    let print = |cells: &[&str]| {
        let mut text = String::new();
        for (cell, width) in cells.iter().zip(&widths) {
            text.push_str(&format!("{:width$}  ", tame(cell)));
        }
        line(text.trim_end())
    };
    print(header)?;
    for row in rows {
        print(&row.iter().map(String::as_str).collect::<Vec<_>>())?;
    }
    Ok(())
}
