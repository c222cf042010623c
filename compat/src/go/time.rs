//! Moments as Go reads and prints them in JSON (RFC 3339).

use proconsul_anchors::clock::Time;

use crate::go::text::quote;

/// Nanoseconds since 1970-01-01T00:00:00Z; before it they are negative.
pub(crate) type Moment = i128;

/// What Go has where no moment was ever set: the beginning of the year 1.
pub(crate) const ZERO: Moment = -62_135_596_800 * SECOND;
/// The same, printed.
pub(crate) const ZERO_TEXT: &str = "0001-01-01T00:00:00Z";

const SECOND: i128 = 1_000_000_000;
const DAY: i128 = 86_400;
const LAYOUT: &str = "2006-01-02T15:04:05Z07:00";

/// A text that is no moment, in Go's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("parsing time {}{fault}", quote(.text))]
pub(crate) struct BadTime {
    text: String,
    fault: String,
}

/// Prints a moment in UTC, with as many digits of the second as it has.
pub(crate) fn show(moment: Moment) -> String {
    let (seconds, nanos) = (moment.div_euclid(SECOND), moment.rem_euclid(SECOND));
    let (year, month, day) = civil(seconds.div_euclid(DAY));
    let of_day = seconds.rem_euclid(DAY);
    let (hour, minute, second) = (of_day / 3_600, of_day / 60 % 60, of_day % 60);
    let fraction = format!(".{nanos:09}");
    let fraction = if nanos == 0 { "" } else { fraction.trim_end_matches('0') };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// The same of the time as the core is told it.
pub(crate) fn show_time(time: Time) -> String {
    show(Moment::from(time.0))
}

/// The nearest whole second.
pub(crate) fn rounded(time: Time) -> Time {
    const SECOND: u64 = 1_000_000_000;
    Time((time.0 + SECOND / 2) / SECOND * SECOND)
}

/// Reads a moment.
///
/// # Errors
/// [`BadTime`] in Go's words: what stands where something else must, or a number beyond its range.
pub(crate) fn parse(text: &str) -> Result<Moment, BadTime> {
    let mut reader = Reader { whole: text, rest: text };
    let year = reader.digits(4, "2006")?;
    reader.literal("-")?;
    let month = reader.digits(2, "01")?;
    reader.range(month, 1..=12, "month")?;
    reader.literal("-")?;
    let day = reader.digits(2, "02")?;
    reader.literal("T")?;
    let hour = reader.digits(2, "15")?;
    reader.range(hour, 0..=23, "hour")?;
    reader.literal(":")?;
    let minute = reader.digits(2, "04")?;
    reader.range(minute, 0..=59, "minute")?;
    reader.literal(":")?;
    let second = reader.digits(2, "05")?;
    reader.range(second, 0..=59, "second")?;
    let nanos = reader.fraction();
    let offset = reader.zone()?;
    if !reader.rest.is_empty() {
        return Err(reader.fault(format!(": extra text: {}", quote(reader.rest))));
    }
    reader.range(day, 1..=days_of(year, month), "day")?;
    let seconds = days(year, month, day) * DAY + hour * 3_600 + minute * 60 + second - offset;
    Ok(seconds * SECOND + nanos)
}

struct Reader<'a> {
    whole: &'a str,
    rest: &'a str,
}

impl Reader<'_> {
    fn fault(&self, fault: String) -> BadTime {
        BadTime { text: self.whole.to_owned(), fault }
    }

    /// What is wrong when `element` of the layout should stand here.
    fn not(&self, element: &str) -> BadTime {
        let [layout, rest, element] = [LAYOUT, self.rest, element].map(quote);
        self.fault(format!(" as {layout}: cannot parse {rest} as {element}"))
    }

    fn digits(&mut self, count: usize, element: &str) -> Result<i128, BadTime> {
        let head = self.rest.get(..count).filter(|head| head.bytes().all(|b| b.is_ascii_digit()));
        let number = head.and_then(|head| head.parse().ok()).ok_or_else(|| self.not(element))?;
        self.rest = &self.rest[count..];
        Ok(number)
    }

    fn literal(&mut self, literal: &str) -> Result<(), BadTime> {
        self.rest = self.rest.strip_prefix(literal).ok_or_else(|| self.not(literal))?;
        Ok(())
    }

    fn range(
        &self,
        value: i128,
        fits: std::ops::RangeInclusive<i128>,
        what: &str,
    ) -> Result<(), BadTime> {
        if fits.contains(&value) {
            Ok(())
        } else {
            Err(self.fault(format!(": {what} out of range")))
        }
    }

    /// Nanoseconds after a point or comma; digits beyond them say nothing.
    fn fraction(&mut self) -> i128 {
        let Some(after) = self.rest.strip_prefix(['.', ',']) else { return 0 };
        let end = after.bytes().take_while(u8::is_ascii_digit).count();
        if end == 0 {
            return 0;
        }
        self.rest = &after[end..];
        format!("{:0<9}", &after[..end.min(9)]).parse().unwrap_or(0)
    }

    /// The seconds that the place is ahead of UTC.
    fn zone(&mut self) -> Result<i128, BadTime> {
        if let Some(rest) = self.rest.strip_prefix('Z') {
            self.rest = rest;
            return Ok(0);
        }
        let two = |text: Option<&str>| {
            text.filter(|text| text.bytes().all(|b| b.is_ascii_digit()))
                .and_then(|text| text.parse::<i128>().ok())
        };
        let (sign, colon) = (self.rest.get(..1), self.rest.get(3..4));
        let (hours, minutes) = (two(self.rest.get(1..3)), two(self.rest.get(4..6)));
        match (sign, colon, hours, minutes) {
            (Some(sign @ ("+" | "-")), Some(":"), Some(hours @ 0..=24), Some(minutes @ 0..=60)) => {
                self.rest = &self.rest[6..];
                let offset = hours * 3_600 + minutes * 60;
                Ok(if sign == "-" { -offset } else { offset })
            }
            _ => Err(self.not("Z07:00")),
        }
    }
}

fn days_of(year: i128, month: i128) -> i128 {
    let next = if month == 12 { days(year + 1, 1, 1) } else { days(year, month + 1, 1) };
    next - days(year, month, 1)
}

/// The Gregorian date of a day since 1970, counted in years that begin in March (400 years have 146,097 days).
fn civil(days: i128) -> (i128, i128, i128) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (year_of_era + era * 400 + i128::from(month <= 2), month, day)
}

/// The other way round.
fn days(year: i128, month: i128, day: i128) -> i128 {
    let year = year - i128::from(month <= 2);
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let of_year = (153 * shifted + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_and_printed() {
        for (text, printed) in [
            ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
            ("2000-02-29T23:59:59.5+01:00", "2000-02-29T22:59:59.5Z"),
            ("2026-11-20T09:03:05.00000012-08:30", "2026-11-20T17:33:05.00000012Z"),
        ] {
            assert_eq!(show(parse(text).unwrap()), printed);
        }
        assert_eq!(parse(ZERO_TEXT), Ok(ZERO));
        assert_eq!(show_time(Time(951_782_400_500_000_000)), "2000-02-29T00:00:00.5Z");
        assert_eq!(rounded(Time(1_499_999_999)), Time(1_000_000_000));
        assert_eq!(rounded(Time(1_500_000_000)), Time(2_000_000_000));
    }

    #[test]
    fn others_are_refused_in_gos_words() {
        let layout = r#"as "2006-01-02T15:04:05Z07:00": cannot parse"#;
        let cases = [
            ("soon", format!(r#""soon" {layout} "soon" as "2006""#)),
            ("2020-01-01", format!(r#""2020-01-01" {layout} "" as "T""#)),
            ("2020-13-01T00:00:00Z", r#""2020-13-01T00:00:00Z": month out of range"#.to_owned()),
            ("2021-02-29T00:00:00Z", r#""2021-02-29T00:00:00Z": day out of range"#.to_owned()),
            ("2020-01-01T00:00:00Zx", r#""2020-01-01T00:00:00Zx": extra text: "x""#.to_owned()),
        ];
        for (text, told) in cases {
            let told = format!("parsing time {told}");
            assert_eq!(parse(text).map_err(|error| error.to_string()), Err(told));
        }
    }
}
