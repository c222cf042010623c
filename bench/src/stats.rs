//! Medians, spreads and percentiles.

use std::time::Duration;

/// The rounds of one measure in three numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Summary {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Summary {
    /// Nothing when there was no round.
    pub(crate) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (least, most) = (*sorted.first()?, *sorted.last()?);
        let upper = sorted.len() / 2;
        let lower = (sorted.len() - 1) / 2;
        Some(Self { median: (sorted[lower] + sorted[upper]) / 2.0, least, most })
    }
}

/// The nearest-rank percentile: the least value that is not exceeded by `per_cent` of all. Zero when there is none.
pub(crate) fn percentile(sorted: &[Duration], per_cent: usize) -> Duration {
    let rank = (sorted.len() * per_cent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_percentile(millis: &[u64], per_cent: usize, expected: u64) {
        let sorted: Vec<_> = millis.iter().copied().map(Duration::from_millis).collect();
        assert_eq!(
            percentile(&sorted, per_cent),
            Duration::from_millis(expected),
            "p{per_cent} of {millis:?}"
        );
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let hundred: Vec<u64> = (1..=100).collect();
        check_percentile(&hundred, 50, 50);
        check_percentile(&hundred, 99, 99);
        check_percentile(&hundred, 100, 100);
        check_percentile(&[7], 50, 7);
        check_percentile(&[1, 2, 3], 50, 2);
        check_percentile(&[1, 2, 3], 99, 3);
        check_percentile(&[1, 2, 3], 0, 1);
        check_percentile(&[], 99, 0);
    }

    #[test]
    fn a_summary_is_median_and_extremes() {
        assert_eq!(
            Summary::of(&[3.0, 1.0, 2.0]),
            Some(Summary { median: 2.0, least: 1.0, most: 3.0 })
        );
        assert_eq!(Summary::of(&[4.0, 1.0]), Some(Summary { median: 2.5, least: 1.0, most: 4.0 }));
        assert_eq!(Summary::of(&[]), None);
    }
}
