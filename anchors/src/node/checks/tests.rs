//! Thresholds, deadlines and cuts, as lines of data.

use super::*;

/// Thresholds (successes, failures to warn, failures to turn critical), what was found, what it led to.
#[test]
fn results_count_in_a_row() {
    let cases = [
        // The first result applies at once, whatever the thresholds are.
        ("0 0 0", "p c w p", "p c w p"),
        ("3 0 0", "p c p p p", "p c . . p"),
        ("0 0 3", "c p c c c", "c p . . c"),
        ("0 1 3", "p c c c", "p w w c"),
        ("0 2 3", "p c c c p", "p . w c p"),
        ("2 0 2", "c p p c c", "c . p . c"),
        ("2 0 0", "p w c w w", "p w c . w"),
    ];
    for (thresholds, found, expected) in cases {
        let numbers: Vec<i64> =
            thresholds.split(' ').map(|number| number.parse().unwrap()).collect();
        let definition = CheckDefinition {
            success_before_passing: numbers[0],
            failures_before_warning: numbers[1],
            failures_before_critical: numbers[2],
            ..CheckDefinition::default()
        };
        let mut counters = Counters::new(Thresholds::from(&definition));
        let led: Vec<&str> =
            found.split(' ').map(|one| letter(counters.count(&status(one)))).collect();
        assert_eq!(led.join(" "), expected, "{thresholds}: {found}");
    }
}

#[test]
fn a_name_has_one_deadline() {
    let (a, b) = (Arc::from("a"), Arc::from("b"));
    let mut deadlines = Deadlines::default();
    deadlines.set(&a, Time(5));
    deadlines.set(&b, Time(3));
    deadlines.set(&a, Time(2));
    assert_eq!(deadlines.next(), Some(Time(2)));
    assert_eq!(deadlines.take_due(Time(1)), Vec::<Arc<str>>::new());
    assert_eq!(deadlines.take_due(Time(3)), [a, b]);
    assert_eq!(deadlines.next(), None);
}

#[test]
fn first_runs_are_spread_over_the_interval() {
    let mut dice = Dice::new(1);
    let span = Duration::from_secs(10);
    let parts: Vec<Duration> = (0..1000).map(|_| dice.part_of(span)).collect();
    assert!(parts.iter().all(|part| *part < span));
    let early = parts.iter().filter(|part| **part < span / 2).count();
    assert!((400..600).contains(&early), "{early} of 1000 in the first half");
    assert_eq!(dice.part_of(Duration::ZERO), Duration::ZERO);
}

#[test]
fn a_cut_tells_how_much_there_was() {
    assert_eq!(cut_note("abcdef", 4), "abcd ... (captured 4 of 6 bytes)");
    assert_eq!(cut_note("abcd", 4), "abcd");
    assert_eq!(cut_note("é", 1), "\u{fffd} ... (captured 1 of 2 bytes)");
    assert_eq!(cut_script_output(b"yz", 26), "Captured 2 of 26 bytes\n...\nyz");
    assert_eq!(cut_script_output(b"yz", 2), "yz");
}

fn status(letter: &str) -> Status {
    match letter {
        "p" => Status::Passing,
        "w" => Status::Warning,
        _ => Status::Critical,
    }
}

fn letter(status: Option<Status>) -> &'static str {
    match status {
        Some(Status::Passing) => "p",
        Some(Status::Warning) => "w",
        Some(_) => "c",
        None => ".",
    }
}
