//! Moments as Go prints them in JSON.

use proconsul_anchors::clock::Time;

const SECOND: u64 = 1_000_000_000;

/// RFC 3339 in UTC, with as many digits of the second as are needed.
pub(crate) fn rfc3339(at: Time) -> String {
    let (seconds, nanos) = (at.0 / SECOND, at.0 % SECOND);
    let fraction = format!(".{nanos:09}");
    let fraction = if nanos == 0 { "" } else { fraction.trim_end_matches('0') };
    let (year, month, day) = civil(seconds / 86_400);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// The nearest whole second.
pub(crate) fn rounded(at: Time) -> Time {
    Time((at.0 + SECOND / 2) / SECOND * SECOND)
}

/// The Gregorian date of a day since 1970, counted in years that begin in March (400 years have 146,097 days).
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_print_as_go_prints_them() {
        for (nanos, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_500_000_000, "2000-02-29T00:00:00.5Z"),
            (1_795_165_385_000_000_120, "2026-11-20T09:03:05.00000012Z"),
        ] {
            assert_eq!(rfc3339(Time(nanos)), text);
        }
        assert_eq!(rounded(Time(1_499_999_999)), Time(1_000_000_000));
        assert_eq!(rounded(Time(1_500_000_000)), Time(2_000_000_000));
    }
}
