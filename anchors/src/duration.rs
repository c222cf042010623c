//! Durations as Go writes and reads them: `1h0m0s`, `1.5s`, `300ms`, `1ns`.

use std::fmt::Write as _;
use std::time::Duration;

/// A text that is no duration, in Go's words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("time: {fault} {text}")]
pub struct BadDuration {
    fault: &'static str,
    /// The text in Go's quotes, and the unit where that is at fault.
    text: String,
}

/// Nanoseconds, as Go's `time.Duration` has them: negative ones exist and are refused by whoever asks for a wait.
pub type Nanos = i64;

/// Reads a duration: a sign, then decimal numbers each with a unit (`ns us µs ms s m h`).
///
/// # Errors
/// [`BadDuration`] in Go's words: no number, no unit, an unknown unit, or too long for 64 bits of nanoseconds.
pub fn parse(text: &str) -> Result<Nanos, BadDuration> {
    let bad = |fault, text: String| Err(BadDuration { fault, text });
    let quoted = format!("{text:?}");
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return bad("invalid duration", quoted);
    }
    let mut total: u64 = 0;
    while !rest.is_empty() {
        let Some((number, after)) = take_number(rest) else {
            return bad("invalid duration", quoted);
        };
        let unit_end = after.find(|c: char| c == '.' || c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_end);
        if unit.is_empty() {
            return bad("missing unit in duration", quoted);
        }
        let Some(scale) = unit_nanos(unit) else {
            return bad("unknown unit", format!("{unit:?} in duration {quoted}"));
        };
        let Some(sum) = number.nanos(scale).and_then(|nanos| total.checked_add(nanos)) else {
            return bad("invalid duration", quoted);
        };
        (total, rest) = (sum, after);
    }
    let limit = i64::MAX.unsigned_abs() + u64::from(negative);
    if total > limit {
        return bad("invalid duration", quoted);
    }
    Ok(if negative { 0i64.wrapping_sub_unsigned(total) } else { total.cast_signed() })
}

/// Reads a duration that something waits for; a negative one counts as none.
///
/// # Errors
/// As [`parse`].
pub fn parse_wait(text: &str) -> Result<Duration, BadDuration> {
    parse(text).map(|nanos| Duration::from_nanos(u64::try_from(nanos).unwrap_or(0)))
}

/// Writes nanoseconds as Go's `Duration.String` does.
pub fn show(nanos: Nanos) -> String {
    let sign = if nanos < 0 { "-" } else { "" };
    format!("{sign}{}", show_unsigned(nanos.unsigned_abs()))
}

/// Writes a duration as Go's `Duration.String` does.
pub fn show_wait(duration: Duration) -> String {
    show_unsigned(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

/// A decimal number: the digits before the point, those after it, and by what the latter are to be divided.
struct Decimal {
    whole: u64,
    fraction: u64,
    scale: u64,
}

impl Decimal {
    fn nanos(&self, unit: u64) -> Option<u64> {
        let fraction = u128::from(self.fraction) * u128::from(unit) / u128::from(self.scale);
        self.whole.checked_mul(unit)?.checked_add(u64::try_from(fraction).ok()?)
    }
}

fn take_number(text: &str) -> Option<(Decimal, &str)> {
    let digits = |text: &str| text.bytes().take_while(u8::is_ascii_digit).count();
    let (whole, rest) = text.split_at(digits(text));
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(after) => after.split_at(digits(after)),
        None => ("", rest),
    };
    if whole.is_empty() && fraction.is_empty() {
        return None;
    }
    /// More digits after the point than this are below a nanosecond of an hour.
    const FRACTION_DIGITS_MAX: usize = 18;
    let fraction = &fraction[..fraction.len().min(FRACTION_DIGITS_MAX)];
    let number = |digits: &str| if digits.is_empty() { Some(0) } else { digits.parse().ok() };
    let scale = 10u64.pow(u32::try_from(fraction.len()).ok()?);
    Some((Decimal { whole: number(whole)?, fraction: number(fraction)?, scale }, rest))
}

fn unit_nanos(unit: &str) -> Option<u64> {
    Some(match unit {
        "ns" => 1,
        "us" | "µs" | "μs" => 1_000,
        "ms" => 1_000_000,
        "s" => 1_000_000_000,
        "m" => 60_000_000_000,
        "h" => 3_600_000_000_000,
        _ => return None,
    })
}

fn show_unsigned(nanos: u64) -> String {
    const SECOND: u64 = 1_000_000_000;
    match nanos {
        0 => "0s".to_owned(),
        1..1_000 => format!("{nanos}ns"),
        1_000..1_000_000 => format!("{}µs", decimal(nanos, 1_000)),
        1_000_000..SECOND => format!("{}ms", decimal(nanos, 1_000_000)),
        _ => {
            let (minutes, rest) = (nanos / (60 * SECOND), nanos % (60 * SECOND));
            let mut text = String::new();
            if minutes >= 60 {
                let _ = write!(text, "{}h", minutes / 60);
            }
            if minutes > 0 {
                let _ = write!(text, "{}m", minutes % 60);
            }
            text + &decimal(rest, SECOND) + "s"
        }
    }
}

/// The number divided by a power of ten, without trailing zeros.
fn decimal(number: u64, unit: u64) -> String {
    let (whole, fraction) = (number / unit, number % unit);
    if fraction == 0 {
        return whole.to_string();
    }
    let width = unit.ilog10() as usize;
    let digits = format!("{fraction:0width$}");
    format!("{whole}.{}", digits.trim_end_matches('0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_go_reads() {
        for (text, nanos) in [
            ("10s", 10_000_000_000),
            ("1h0m0s", 3_600_000_000_000),
            ("1.5s", 1_500_000_000),
            (".5ms", 500_000),
            ("1ns", 1),
            ("-2m", -120_000_000_000),
            ("300000ms", 300_000_000_000),
            ("9000h0m0s", 32_400_000_000_000_000),
            ("0", 0),
            ("+1µs", 1_000),
        ] {
            assert_eq!(parse(text), Ok(nanos), "{text}");
        }
    }

    #[test]
    fn refuses_in_gos_words() {
        for (text, words) in [
            ("", r#"time: invalid duration """#),
            ("x", r#"time: invalid duration "x""#),
            ("10", r#"time: missing unit in duration "10""#),
            ("10y", r#"time: unknown unit "y" in duration "10y""#),
            ("99999999h", r#"time: invalid duration "99999999h""#),
            ("-", r#"time: invalid duration "-""#),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), words, "{text}");
        }
    }

    #[test]
    fn writes_what_go_writes() {
        for (nanos, text) in [
            (0, "0s"),
            (1, "1ns"),
            (1_500, "1.5µs"),
            (200_000_000, "200ms"),
            (10_000_000_000, "10s"),
            (61_500_000_000, "1m1.5s"),
            (3_600_000_000_000, "1h0m0s"),
            (-1_000_000_000, "-1s"),
        ] {
            assert_eq!(show(nanos), text);
        }
    }
}
