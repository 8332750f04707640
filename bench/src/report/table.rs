//! A table in Markdown: readable on a terminal, and pasted into documents as it is.

use super::{Report, short};
use crate::{finding::Goal, machine};
use std::fmt::Write;

/// The table.
pub fn table(report: &Report) -> String {
    let mut out = String::new();
    let pace = if report.quick { ", quick: not to be published" } else { "" };
    let _ = writeln!(out, "{}, {} cores, {}{pace}\n", report.dialect, report.cores, report.began);
    if let Some(warning) = report.load.and_then(|load| machine::warning(load, report.cores)) {
        let _ = writeln!(out, "WARNING: {warning}\n");
    }
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
            match finding.goal {
                Goal::None => "",
                _ if finding.is_met() => "met",
                _ => "MISSED",
            },
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
