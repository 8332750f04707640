//! What a figure says: pairs of measurements taken side by side, their ratio, and a goal for it.

/// What the ratio should be.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Goal {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
    /// None: shown, not judged.
    None,
}

impl Goal {
    /// The number; `None` where there is none.
    pub fn bound(self) -> Option<f64> {
        match self {
            Self::AtLeast(bound) | Self::AtMost(bound) => Some(bound),
            Self::None => None,
        }
    }

    /// Whether `ratio` reaches it.
    pub fn is_met(self, ratio: f64) -> bool {
        match self {
            Self::AtLeast(bound) => ratio >= bound,
            Self::AtMost(bound) => ratio <= bound,
            Self::None => true,
        }
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::AtLeast(bound) => write!(f, "≥ {bound}"),
            Self::AtMost(bound) => write!(f, "≤ {bound}"),
            Self::None => f.write_str("none"),
        }
    }
}

/// Median, least and most.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub struct Spread {
    /// The middle one; of an even number, the mean of the two.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The most.
    pub max: f64,
}

impl Spread {
    /// Of some values; zeros of none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let (Some(min), Some(max)) = (values.first(), values.last()) else { return Self::default() };
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Self { median: f64::midpoint(low, high), min: *min, max: *max }
    }
}

/// One measurement of the broker and of its limit, taken one right after the other.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pair {
    /// The limit's.
    pub limit: f64,
    /// The broker's.
    pub broker: f64,
}

/// One line of the table.
#[derive(Clone, Debug)]
pub struct Finding {
    /// What was measured.
    pub name: String,
    /// What `broker` and `limit` count, such as `grants/s`.
    pub unit: &'static str,
    /// What the limit is.
    pub limit: &'static str,
    /// What `broker / limit` should be.
    pub goal: Goal,
    /// Every run.
    pub pairs: Vec<Pair>,
    /// What else was seen beside it.
    pub notes: Vec<String>,
}

impl Finding {
    /// `broker / limit` over all runs.
    pub fn ratio(&self) -> Spread {
        Spread::of(self.pairs.iter().map(|pair| pair.broker / pair.limit))
    }

    /// The broker's own numbers.
    pub fn broker(&self) -> Spread {
        Spread::of(self.pairs.iter().map(|pair| pair.broker))
    }

    /// The limit's.
    pub fn of_limit(&self) -> Spread {
        Spread::of(self.pairs.iter().map(|pair| pair.limit))
    }

    /// Whether the median reaches the goal.
    pub fn is_met(&self) -> bool {
        self.goal.is_met(self.ratio().median)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_has_its_median_in_the_middle() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 3.0 });
        assert_eq!(Spread::of([4.0, 1.0, 2.0, 3.0]).median, 2.5);
    }

    #[test]
    fn a_goal_is_met_on_its_own_side() {
        assert!(Goal::AtLeast(0.8).is_met(0.8) && !Goal::AtLeast(0.8).is_met(0.79));
        assert!(Goal::AtMost(1.5).is_met(1.5) && !Goal::AtMost(1.5).is_met(1.51));
        assert_eq!((Goal::AtMost(1.5).bound(), Goal::None.bound()), (Some(1.5), None));
    }
}
