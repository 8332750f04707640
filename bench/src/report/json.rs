//! Everything, every run, for programs.

use super::Report;
use crate::finding::{Finding, Goal, Spread};
use serde_json::{Value, json};

/// The document.
pub fn json(report: &Report) -> Value {
    let reasons = |list: &[(String, String)]| -> Vec<Value> {
        list.iter().map(|(figure, why)| json!({ "figure": figure, "why": why })).collect()
    };
    json!({
        "dialect": report.dialect,
        "cores": report.cores,
        "began": report.began,
        "quick": report.quick,
        "load_average": report.load,
        "findings": report.findings.iter().map(finding).collect::<Vec<_>>(),
        "not_applicable": reasons(&report.not_applicable),
        "failed": reasons(&report.failed),
    })
}

fn finding(finding: &Finding) -> Value {
    let runs: Vec<Value> =
        finding.pairs.iter().map(|pair| json!({ "broker": pair.broker, "limit": pair.limit })).collect();
    let goal = match finding.goal {
        Goal::AtLeast(bound) => json!({ "at_least": bound }),
        Goal::AtMost(bound) => json!({ "at_most": bound }),
        Goal::None => Value::Null,
    };
    json!({
        "name": finding.name,
        "unit": finding.unit,
        "limit_is": finding.limit,
        "broker": spread(finding.broker()),
        "limit": spread(finding.of_limit()),
        "ratio": spread(finding.ratio()),
        "goal": goal,
        "met": finding.goal.bound().map(|_| finding.is_met()),
        "runs": runs,
        "notes": finding.notes,
    })
}

fn spread(spread: Spread) -> Value {
    json!({ "median": spread.median, "min": spread.min, "max": spread.max })
}
