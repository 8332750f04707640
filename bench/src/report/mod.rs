//! What was measured, as a table, as JSON and as a plot.

mod json;
mod svg;
mod table;

pub use json::json;
pub use svg::svg;
pub use table::table;

use crate::finding::Finding;

/// Everything one run of this program has to say.
pub struct Report {
    /// The database.
    pub dialect: &'static str,
    /// Cores this process may use.
    pub cores: usize,
    /// When it began, RFC 3339, UTC.
    pub began: String,
    /// What the machine was at before: its load average over a minute, where that is known.
    pub load: Option<f64>,
    /// The shortened pace: not to be published.
    pub quick: bool,
    /// In the order measured.
    pub findings: Vec<Finding>,
    /// Figures that make no sense here, and why.
    pub not_applicable: Vec<(String, String)>,
    /// Figures that could not be measured, and why.
    pub failed: Vec<(String, String)>,
}

/// A number as people read it: three digits that mean something.
fn short(value: f64) -> String {
    match value.abs() {
        v if v >= 100.0 => format!("{value:.0}"),
        v if v >= 10.0 => format!("{value:.1}"),
        0.0 => "0".to_owned(),
        _ => format!("{value:.2}"),
    }
}
