//! Findings as a table that reads well both in a terminal and as Markdown.

use crate::findings::{Bound, Findings, Gauge, Measure, Subject, Target};
use crate::stats::Summary;

/// The whole text of one work.
pub(crate) fn render(findings: &Findings) -> String {
    let heading = ["measure", "Consul", "proconsul", findings.limit, "to Consul", "to the limit"];
    let mut text = format!("\n## {}\n\n", findings.title);
    text += &table(heading.map(String::from), findings.measures.iter().map(row).collect());
    if !findings.targets.is_empty() {
        let targets = findings.targets.iter().map(|target| verdict(findings, target)).collect();
        text += "\n";
        text += &table(["target", "found", ""].map(String::from), targets);
    }
    for note in &findings.notes {
        text += &format!("\nNote: {note}\n");
    }
    text
}

fn row(measure: &Measure) -> [String; 6] {
    let Gauge { name, unit } = measure.gauge;
    let cell = |subject| measure.summary(subject).map_or_else(|| "–".to_owned(), spread);
    let ratio = |to| measure.ratio(to).map_or_else(|| "–".to_owned(), times);
    [
        format!("{name} ({unit})"),
        cell(Subject::Consul),
        cell(Subject::Proconsul),
        cell(Subject::Limit),
        ratio(Subject::Consul),
        ratio(Subject::Limit),
    ]
}

fn verdict(findings: &Findings, target: &Target) -> [String; 3] {
    let name = target.gauge.name;
    let aim = match target.bound {
        Bound::AtMost(most, of) => format!("{name}: ≤ {} of {}", times(most), whose(of, findings)),
        Bound::AtLeast(least, of) => {
            format!("{name}: ≥ {} of {}", times(least), whose(of, findings))
        }
        Bound::Below(most) => format!("{name}: ≤ {} {}", number(most), target.gauge.unit),
        Bound::Above(most, of) => {
            format!(
                "{name}: ≤ {} {} above {}",
                number(most),
                target.gauge.unit,
                whose(of, findings)
            )
        }
    };
    let show = |found| match target.bound {
        Bound::AtMost(..) | Bound::AtLeast(..) => times(found),
        Bound::Below(_) | Bound::Above(..) => number(found),
    };
    match findings.verdict(target) {
        Some((found, true)) => [aim, show(found), "met".to_owned()],
        Some((found, false)) => [aim, show(found), "MISSED".to_owned()],
        None => [aim, "–".to_owned(), "not measured".to_owned()],
    }
}

fn whose<'a>(subject: Subject, findings: &Findings) -> &'a str {
    match subject {
        Subject::Consul => "Consul",
        Subject::Proconsul => "proconsul",
        Subject::Limit => findings.limit,
    }
}

/// Median, and in brackets the extremes when there was more than one round.
fn spread(summary: Summary) -> String {
    let Summary { median, least, most } = summary;
    if least == most {
        number(median)
    } else {
        format!("{} ({}–{})", number(median), number(least), number(most))
    }
}

fn times(ratio: f64) -> String {
    format!("{}×", number(ratio))
}

/// Three digits that count, and the thousands grouped.
fn number(value: f64) -> String {
    match value.abs() {
        0.0..1.0 => format!("{value:.3}"),
        1.0..10.0 => format!("{value:.2}"),
        10.0..100.0 => format!("{value:.1}"),
        _ => grouped(value.round() as i64),
    }
}

fn grouped(value: i64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) && digit != '-' {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn table<const N: usize>(heading: [String; N], rows: Vec<[String; N]>) -> String {
    let mut widths = heading.each_ref().map(|cell| cell.chars().count());
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let rule = widths.map(|width| "-".repeat(width));
    [heading, rule].iter().chain(&rows).map(|row| line(row, widths)).collect()
}

fn line<const N: usize>(cells: &[String; N], widths: [usize; N]) -> String {
    let padded: Vec<_> =
        cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
    format!("| {} |\n", padded.join(" | "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: f64, expected: &str) {
        assert_eq!(number(value), expected);
    }

    #[test]
    fn numbers_show_three_digits_that_count() {
        check(0.0, "0.000");
        check(0.0123, "0.012");
        check(0.125, "0.125");
        check(1.5, "1.50");
        check(42.25, "42.2");
        check(999.4, "999");
        check(14_700.0, "14,700");
        check(1_234_567.0, "1,234,567");
    }

    #[test]
    fn a_table_is_padded() {
        let rows = vec![["µs".to_owned(), "1".to_owned()]];
        let text = table(["a".to_owned(), "bc".to_owned()], rows);
        assert_eq!(text, "| a  | bc |\n| -- | -- |\n| µs | 1  |\n");
    }
}
