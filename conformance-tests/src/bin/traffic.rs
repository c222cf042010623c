//! Plays one seed of random traffic against the real Consul and the subject, and prints what differs.
//!
//! `cargo run -p proconsul-conformance --bin traffic -- SEED [COUNT] [--all]`

use std::{env, process::ExitCode};

use proconsul_conformance::{
    subject::{Kind, Mode, Setup, Subject},
    traffic::{self, Traffic},
};

/// As many as the test plays with each of its seeds.
const COUNT: usize = 2000;

fn main() -> ExitCode {
    let mut numbers = env::args().skip(1).filter_map(|arg| arg.parse::<u64>().ok());
    let seed = numbers.next().unwrap_or(1);
    let count = numbers.next().and_then(|n| usize::try_from(n).ok()).unwrap_or(COUNT);
    let start = |kind| {
        let mut subject = Subject::start(Setup::of(kind, Mode::Disk))?;
        subject.settle().map(|()| subject)
    };
    let played = start(Kind::Consul)
        .and_then(|left| Ok((left, start(Kind::from_env())?)))
        .and_then(|(left, right)| traffic::play(&left, &right, Traffic::new(seed).take(count)));
    match played {
        Ok(report) => {
            if env::args().any(|arg| arg == "--all") {
                for unequal in &report.unequal {
                    println!("{unequal:#?}");
                }
            }
            println!("{}", report.grouped());
            println!(
                "seed {seed}: {} of 1000 equal, {} of {count} differ",
                report.per_mille(),
                report.unequal.len()
            );
            ExitCode::SUCCESS
        }
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}
