//! How often a scope is written to: the generic cell rate algorithm, told the time.

use crate::clock::Time;

const SECOND: u64 = 1_000_000_000;

/// When the writes so far would have been through at the scope's rate.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Meter(u64);

// === impl Meter ===

impl Meter {
    /// The meter after one more write, at so many a second; nothing when it came too soon. A second's worth may come at
    /// once.
    pub(crate) fn after_one(self, per_second: u64, now: Time) -> Option<Self> {
        let each = SECOND.checked_div(per_second)?;
        let through = self.0.max(now.0) + each;
        (through <= now.0 + SECOND).then_some(Self(through))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_takes_no_more_than_its_worth() {
        for rate in [1, 2, 3, 1000] {
            let mut meter = Meter::default();
            let mut take = |at: u64| match meter.after_one(rate, Time(at)) {
                Some(after) => {
                    meter = after;
                    true
                }
                None => false,
            };
            let start = 7 * SECOND;
            let burst = (0..rate + 5).filter(|_| take(start)).count() as u64;
            assert_eq!(burst, rate, "at once");
            assert!(!take(start + SECOND / rate / 2), "too soon");
            assert!(take(start + SECOND / rate + 1), "one more");
            let later =
                (0..10 * rate).filter(|at| take(start + 2 * SECOND + at * SECOND / rate / 10));
            assert!(later.count() as u64 <= 2 * rate, "a second later");
        }
        assert!(Meter::default().after_one(0, Time(SECOND)).is_none());
    }
}
