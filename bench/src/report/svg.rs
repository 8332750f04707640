//! A plot: one bar a figure, as long as its ratio is of its goal, so that one line is the goal of all of them.

use super::Report;
use crate::finding::{Finding, Goal};
use std::fmt::Write;

const WIDTH: f64 = 980.0;
const ROW: f64 = 44.0;
const TOP: f64 = 56.0;
const LEFT: f64 = 16.0;
/// Where the goal stands.
const GOAL_AT: f64 = 560.0;
const RIGHT: f64 = WIDTH - 150.0;

/// The picture.
pub fn svg(report: &Report) -> String {
    let bounded = |finding: &&Finding| finding.goal.bound().is_some_and(|bound| bound > 0.0);
    let drawn: Vec<&Finding> = report.findings.iter().filter(bounded).collect();
    let height = TOP + ROW * drawn.len() as f64 + 24.0;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"system-ui, sans-serif\" font-size=\"13\">\n\
         <rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#fff\"/>\n\
         <text x=\"{LEFT}\" y=\"24\" font-weight=\"bold\">Ratio to the limit measured beside it: {}, {} cores</text>\n\
         <text x=\"{GOAL_AT}\" y=\"44\" text-anchor=\"middle\" fill=\"#555\">goal</text>\n",
        report.dialect, report.cores
    );
    for (row, finding) in drawn.iter().enumerate() {
        bar(&mut out, TOP + ROW * row as f64, finding);
    }
    let _ = writeln!(
        out,
        "<line x1=\"{GOAL_AT}\" x2=\"{GOAL_AT}\" y1=\"{TOP}\" y2=\"{}\" stroke=\"#222\" stroke-dasharray=\"4 3\"/>\n</svg>",
        height - 20.0
    );
    out
}

fn bar(out: &mut String, y: f64, finding: &Finding) {
    let ratio = finding.ratio();
    let bound = finding.goal.bound().unwrap_or(1.0);
    let at = |ratio: f64| (LEFT + (GOAL_AT - LEFT) * ratio / bound).clamp(LEFT, RIGHT);
    let colour = if finding.is_met() { "#2e7d32" } else { "#c62828" };
    let better = match finding.goal {
        Goal::AtLeast(_) => "more is better",
        Goal::AtMost(_) | Goal::None => "less is better",
    };
    let (end, least, most, middle) = (at(ratio.median), at(ratio.min), at(ratio.max), y + 28.0);
    let _ = writeln!(
        out,
        "<text x=\"{LEFT}\" y=\"{:.0}\">{} <tspan fill=\"#777\">({better})</tspan></text>\n\
         <rect x=\"{LEFT}\" y=\"{:.0}\" width=\"{:.1}\" height=\"14\" fill=\"{colour}\"/>\n\
         <path d=\"M{least:.1} {middle} H{most:.1} M{least:.1} {:.1} V{:.1} M{most:.1} {:.1} V{:.1}\" stroke=\"#222\" fill=\"none\"/>\n\
         <text x=\"{:.0}\" y=\"{:.0}\">{:.2}, goal {}</text>",
        y + 15.0,
        escaped(&finding.name),
        y + 21.0,
        end - LEFT,
        middle - 4.0,
        middle + 4.0,
        middle - 4.0,
        middle + 4.0,
        RIGHT + 8.0,
        y + 32.0,
        ratio.median,
        finding.goal,
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
