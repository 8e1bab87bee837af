//! Many measurements as a few numbers.

use std::time::Duration;

use serde_json::{Value, json};

/// What was measured, from the least to the most.
#[derive(Clone, Debug)]
pub struct Figures(Vec<Duration>);

impl Figures {
    /// Of these measurements.
    pub fn of(measured: impl IntoIterator<Item = Duration>) -> Self {
        let mut measured: Vec<_> = measured.into_iter().collect();
        measured.sort();
        Self(measured)
    }

    /// What so many of a hundred do not exceed: the nearest rank.
    fn percentile(&self, percent: usize) -> Duration {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default()
    }

    /// In milliseconds; null where nothing was measured.
    pub fn to_json(&self) -> Value {
        if self.0.is_empty() {
            return Value::Null;
        }
        json!({
            "n": self.0.len(),
            "median_ms": millis(self.percentile(50)),
            "p99_ms": millis(self.percentile(99)),
            "worst_ms": millis(self.percentile(100)),
        })
    }
}

/// Milliseconds, to the hundredth.
pub fn millis(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 100_000.0).round() / 100.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle_and_the_worst_at_the_end() {
        let figures = Figures::of((1..=100).rev().map(Duration::from_millis));
        let expected = json!({ "n": 100, "median_ms": 50.0, "p99_ms": 99.0, "worst_ms": 100.0 });
        assert_eq!(figures.to_json(), expected);
    }

    #[test]
    fn nothing_measured_is_no_figure() {
        assert_eq!(Figures::of([]).to_json(), Value::Null);
    }
}
