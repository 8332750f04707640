//! A table in Markdown: readable on a terminal, and pasted into documents as it is.

use super::{Report, short};
use std::fmt::Write;

/// The table.
pub fn table(report: &Report) -> String {
    let mut out = String::new();
    let pace = if report.quick { ", quick: not to be published" } else { "" };
    let _ = writeln!(out, "{}, {} cores, {}{pace}\n", report.dialect, report.cores, report.began);
    out.push_str("| figure | broker | limit | ratio (least–most) | goal | |\n|---|---|---|---|---|---|\n");
    for finding in &report.findings {
        let (ratio, broker, limit) = (finding.ratio(), finding.broker(), finding.of_limit());
        let _ = writeln!(
            out,
            "| {} | {} {} | {} ({}) | {:.2} ({:.2}–{:.2}, {} runs) | {} | {} |",
            finding.name,
            short(broker.median),
            finding.unit,
            short(limit.median),
            finding.limit,
            ratio.median,
            ratio.min,
            ratio.max,
            finding.pairs.len(),
            finding.goal,
            if finding.is_met() { "met" } else { "MISSED" },
        );
    }
    for (figure, why) in &report.not_applicable {
        let _ = writeln!(out, "| {figure} | – | – | – | – | does not apply: {why} |");
    }
    for (figure, why) in &report.failed {
        let _ = writeln!(out, "| {figure} | – | – | – | – | FAILED TO RUN: {why} |");
    }
    for finding in &report.findings {
        for note in &finding.notes {
            let _ = writeln!(out, "\n{}: {note}.", finding.name);
        }
    }
    out
}
