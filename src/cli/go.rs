//! Small things as Go prints and reads them: times, durations of flags, lists, data of a word.

use std::convert::Infallible;
use std::fs;
use std::io::Read as _;
use std::str::FromStr;

use serde_json::Value;
use time::OffsetDateTime;

use crate::config::reason;

/// A duration that a flag takes, in nanoseconds. [`super::argv`] has read Go's text before.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Span(pub(super) i64);

impl FromStr for Span {
    type Err = Infallible;

    fn from_str(nanos: &str) -> Result<Self, Infallible> {
        Ok(Self(nanos.parse().unwrap_or(0)))
    }
}

/// A time of the API as Go prints one: `2026-11-20 13:13:35.3 +0000 UTC`.
pub(super) fn time(text: &str) -> String {
    let Some((date, clock)) = text.split_once('T') else { return text.to_owned() };
    if let Some(clock) = clock.strip_suffix('Z') {
        return format!("{date} {clock} +0000 UTC");
    }
    match clock.rfind(['+', '-']) {
        Some(place) => {
            let (clock, zone) = clock.split_at(place);
            let zone = zone.replace(':', "");
            format!("{date} {clock} {zone} {zone}")
        }
        None => text.to_owned(),
    }
}

/// A time as the API has it.
pub(super) fn rfc3339(time: OffsetDateTime) -> String {
    let (date, nanos) = (time.date(), format!("{:09}", time.nanosecond()));
    let nanos = nanos.trim_end_matches('0');
    let point = if nanos.is_empty() { "" } else { "." };
    format!(
        "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}{point}{nanos}Z",
        date.year(),
        u8::from(date.month()),
        date.day(),
        time.hour(),
        time.minute(),
        time.second()
    )
}

/// A time in the name of a file.
pub(super) fn stamp(time: OffsetDateTime) -> String {
    let text = rfc3339(time.replace_nanosecond(0).unwrap_or(time));
    text.replace(':', "-")
}

/// Days of the week, beginning with that of 1 January 1970.
const DAYS: [&str; 7] =
    ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/// A time of the API in UTC as RFC 850 has it: `Friday, 20-Nov-26 13:13:35 UTC`.
pub(super) fn rfc850(text: &str) -> String {
    let number = |from: usize, to: usize| text.get(from..to).and_then(|part| part.parse().ok());
    let (Some(year), Some(month), Some(day)) = (number(0, 4), number(5, 7), number(8, 10)) else {
        return text.to_owned();
    };
    let weekday = usize::try_from(days_since_1970(year, month, day).rem_euclid(7)).unwrap_or(0);
    let month = usize::try_from(month - 1).ok().and_then(|month| MONTHS.get(month));
    let (month, clock) = (month.copied().unwrap_or("???"), text.get(11..19).unwrap_or(""));
    format!("{}, {day:02}-{month}-{:02} {clock} UTC", DAYS[weekday], year.rem_euclid(100))
}

/// Years begin in March here, so that a leap day is their last one.
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let month = (month + 9) % 12;
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// A field that is a text; empty when it is none.
pub(super) fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

/// A field that is a list; empty when it is none.
pub(super) fn items<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// A field that is a list of texts.
pub(super) fn texts<'a>(value: &'a Value, name: &str) -> Vec<&'a str> {
    items(value, name).iter().filter_map(Value::as_str).collect()
}

/// A field that is a number.
pub(super) fn number(value: &Value, name: &str) -> u64 {
    value.get(name).and_then(Value::as_u64).unwrap_or_default()
}

/// A field that is true or false.
pub(super) fn flag(value: &Value, name: &str) -> bool {
    value.get(name).and_then(Value::as_bool).unwrap_or_default()
}

/// What a word means: `@file`, `-` for standard input, else itself.
pub(super) fn data(word: &str) -> Result<Vec<u8>, String> {
    match word.strip_prefix('@') {
        Some(path) => file(path),
        None if word == "-" => input(),
        None => Ok(word.as_bytes().to_vec()),
    }
}

/// The same as text.
pub(super) fn text_data(word: &str) -> Result<String, String> {
    data(word).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// The text of a file, or of standard input when the word is `-`.
pub(super) fn source(word: &str) -> Result<String, String> {
    let bytes = match word {
        "" => {
            return Err("Failed to load data: must specify a file path or '-' for stdin".to_owned());
        }
        "-" => input(),
        path => file(path),
    };
    bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

pub(super) fn file(path: &str) -> Result<Vec<u8>, String> {
    fs::read(path).map_err(|fault| format!("Failed to read file: open {path}: {}", reason(&fault)))
}

fn input() -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let read = std::io::stdin().lock().read_to_end(&mut bytes);
    read.map_err(|fault| format!("Failed to read stdin: {fault}"))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_printed_as_go_prints_them() {
        for (wire, printed) in [
            ("2026-11-20T13:13:35.31764146Z", "2026-11-20 13:13:35.31764146 +0000 UTC"),
            ("0001-01-01T00:00:00Z", "0001-01-01 00:00:00 +0000 UTC"),
            ("2026-11-20T13:13:35+02:00", "2026-11-20 13:13:35 +0200 +0200"),
        ] {
            assert_eq!(time(wire), printed);
        }
        for (wire, printed) in [
            ("2026-11-20T13:13:35.3Z", "Friday, 20-Nov-26 13:13:35 UTC"),
            ("0001-01-01T00:00:00Z", "Monday, 01-Jan-01 00:00:00 UTC"),
            ("2024-02-29T23:59:59Z", "Thursday, 29-Feb-24 23:59:59 UTC"),
        ] {
            assert_eq!(rfc850(wire), printed);
        }
    }
}
