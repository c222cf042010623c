//! Asks the real Consul and the subject one seed of random DNS questions, and prints what differs.
//!
//! `cargo run -p proconsul-conformance --bin dns-traffic -- SEED [COUNT] [FLAVOUR…] [--damaged] [--print | --fixture]`
//! `--damaged` sends no message whole. Without a flavour (`plain limits truncate passing times zones whole recursors denying mixed`), all of them. `--print` prints
//! the questions only; `--fixture` prints a file for `record-dns`.

use std::{env, process::ExitCode};

use proconsul_conformance::{
    dns::{
        fixture::{Exchange, Fixture},
        random::{self, Flavour, Sides},
    },
    subject::{Kind, Subject},
};

/// As many as the test asks in each flavour.
const COUNT: usize = 2000;
/// So many differences are told.
const TOLD: usize = 40;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let mut numbers = words.iter().filter_map(|word| word.parse::<u64>().ok());
    let seed = numbers.next().unwrap_or(1);
    let count = numbers.next().and_then(|count| usize::try_from(count).ok()).unwrap_or(COUNT);
    let named: Vec<Flavour> = words.iter().filter_map(|word| Flavour::of(word)).collect();
    let flavours = if named.is_empty() { Flavour::ALL.to_vec() } else { named };
    let mut failed = false;
    for flavour in flavours {
        let as_file = words.iter().any(|word| word == "--fixture");
        let crowd = if as_file { random::CROWD_IN_A_FILE } else { random::CROWD };
        let mut fixture = random::world(flavour, crowd, seed);
        let questions = questions(&fixture, seed, &words).take(count);
        if as_file {
            fixture.exchanges = questions.collect();
            println!("{}", fixture.print());
            continue;
        }
        if words.iter().any(|word| word == "--print") {
            questions.enumerate().for_each(|(step, exchange)| println!("{step} {}", exchange.ask));
            continue;
        }
        if let Err(why) = compare(flavour, seed, count, &words) {
            println!("{}: {why}", flavour.word());
            failed = true;
        }
    }
    if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn questions(fixture: &Fixture, seed: u64, words: &[String]) -> Box<dyn Iterator<Item = Exchange>> {
    match words.iter().any(|word| word == "--damaged") {
        true => Box::new(random::damaged(fixture, seed)),
        false => Box::new(random::questions(fixture, seed)),
    }
}

fn compare(flavour: Flavour, seed: u64, count: usize, words: &[String]) -> Result<(), String> {
    let fixture = random::world(flavour, random::CROWD, seed);
    let start = |kind| {
        let subject = Subject::start(fixture.setup(kind))?;
        fixture.establish(&subject)?;
        Ok::<_, String>(subject)
    };
    let (left, right) = (start(Kind::Consul)?, start(Kind::from_env())?);
    let sides = Sides::of(&left, &right);
    let questions = questions(&fixture, seed, words).take(count);
    let report = random::play(&sides, questions).map_err(|error| error.to_string())?;
    print!("{}", report.told(TOLD));
    println!(
        "{} seed {seed}: {} of 10000 equal; of {count} {} the same, {} alike, {} differ",
        flavour.word(),
        report.per_10_000(),
        report.same,
        report.alike,
        report.unequal.len()
    );
    Ok(())
}
