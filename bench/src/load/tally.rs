//! What came of a run. Latencies are kept one by one: quantiles are exact, and a run of a minute costs a few megabytes.

use broker_proto::v1::{IssueGrantResponse, issue_grant_response::Outcome};
use std::{collections::BTreeMap, time::Duration};
use tonic::{Code, Response, Status};

/// What came of a run.
#[derive(Clone, Default, Debug)]
pub struct Tally {
    /// Of every grant, in microseconds.
    latencies: Vec<u32>,
    /// Refused with `RESOURCE_EXHAUSTED`.
    pub shed: u64,
    /// Anything else, by what was said.
    pub failed: BTreeMap<String, u64>,
    /// Over how long.
    pub span: Duration,
}

impl Tally {
    /// Nothing yet, over so long.
    pub fn over(span: Duration) -> Self {
        Self { span, ..Self::default() }
    }

    /// Counts one answer that took `took`.
    pub fn count(&mut self, answer: &Result<Response<IssueGrantResponse>, Status>, took: Duration) {
        let why = match answer {
            Ok(response) => match &response.get_ref().outcome {
                Some(Outcome::Grant(_)) => {
                    self.latencies.push(u32::try_from(took.as_micros()).unwrap_or(u32::MAX));
                    return;
                }
                Some(Outcome::ConsentRequired(_)) => "a consent instead of a grant".to_owned(),
                None => "an empty answer".to_owned(),
            },
            Err(status) if status.code() == Code::ResourceExhausted => {
                self.shed += 1;
                return;
            }
            Err(status) => format!("{:?}: {}", status.code(), status.message()),
        };
        *self.failed.entry(why).or_default() += 1;
    }

    /// Takes in what another sender counted.
    pub fn add(&mut self, other: Self) {
        self.latencies.extend(other.latencies);
        self.shed += other.shed;
        for (why, times) in other.failed {
            *self.failed.entry(why).or_default() += times;
        }
    }

    /// How many grants came.
    pub fn granted(&self) -> u64 {
        self.latencies.len() as u64
    }

    /// How many answers were neither a grant nor `RESOURCE_EXHAUSTED`.
    pub fn failures(&self) -> u64 {
        self.failed.values().sum()
    }

    /// Grants per second.
    pub fn rate(&self) -> f64 {
        self.granted() as f64 / self.span.as_secs_f64()
    }

    /// The latency that a share `at` (0 to 1) of the grants did not exceed, in microseconds; 0 where there was none.
    pub fn quantile(&mut self, at: f64) -> f64 {
        let last = self.latencies.len().saturating_sub(1);
        if self.latencies.is_empty() {
            return 0.0;
        }
        let index = ((last as f64) * at).round() as usize;
        let (_, value, _) = self.latencies.select_nth_unstable(index.min(last));
        f64::from(*value)
    }

    /// The run, where one that was shed counts as one that took `patience`: it makes a tail longer, and hides nothing.
    ///
    /// # Errors
    /// When something else failed.
    pub fn shed_is_slow(mut self, patience: Duration) -> Result<Self, crate::Fault> {
        let took = u32::try_from(patience.as_micros()).unwrap_or(u32::MAX);
        self.latencies.extend(std::iter::repeat_n(took, self.shed as usize));
        self.shed = 0;
        self.all_granted()
    }

    /// The run, where every call was to be granted.
    ///
    /// # Errors
    /// When one was not: a figure of a run that failed says nothing.
    pub fn all_granted(self) -> Result<Self, crate::Fault> {
        if self.shed == 0 && self.failed.is_empty() && self.granted() > 0 {
            return Ok(self);
        }
        let granted = self.granted();
        Err(format!("{granted} grants, {} shed, failed: {:?}", self.shed, self.failed).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_exact() {
        let mut tally = Tally { latencies: (1..=101).rev().collect(), ..Tally::default() };
        assert_eq!(tally.quantile(0.5), 51.0);
        assert_eq!(tally.quantile(0.99), 100.0);
        assert_eq!(tally.quantile(1.0), 101.0);
        assert_eq!(Tally::default().quantile(0.5), 0.0);
    }

    #[test]
    fn what_is_shed_makes_the_tail_longer() {
        let tally = Tally { latencies: vec![1; 990], shed: 10, ..Tally::default() };
        let mut slow = tally.shed_is_slow(Duration::from_micros(7)).expect("nothing failed");
        assert_eq!((slow.quantile(0.98), slow.quantile(0.995)), (1.0, 7.0));
    }
}
