//! Plays one seed of random traffic against the real Consul and the subject, and prints what differs.
//!
//! `cargo run -p proconsul-conformance --bin traffic -- SEED [COUNT] [--deny] [--all|--print|--probe]`
//! `--deny` plays under default-deny, with tokens; `--all` prints every difference whole; `--print` only the requests; `--probe` asks for the whole state after every
//! write and prints the first writes after which the two part.

use std::{env, process::ExitCode};

use proconsul_conformance::{
    subject::{Kind, Mode, Setup, Subject},
    traffic::{self, Guarded, MANAGEMENT, Step, Traffic, Unequal},
};

/// As many as the test plays with each of its seeds.
const COUNT: usize = 2000;

/// More partings than this say little that is new.
const PARTINGS: usize = 12;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            println!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let mut numbers = env::args().skip(1).filter_map(|arg| arg.parse::<u64>().ok());
    let seed = numbers.next().unwrap_or(1);
    let count = numbers.next().and_then(|n| usize::try_from(n).ok()).unwrap_or(COUNT);
    let flag = |name: &str| env::args().any(|arg| arg == name);
    let deny = flag("--deny");
    let stream: Box<dyn Iterator<Item = Step>> =
        if deny { Box::new(Guarded::new(seed)) } else { Box::new(Traffic::new(seed)) };
    let stream = stream.take(count);
    if flag("--print") {
        stream.enumerate().for_each(|(n, step)| println!("{n} {}", step.said()));
        return Ok(());
    }
    let (left, right) = (start(Kind::Consul, deny)?, start(Kind::from_env(), deny)?);
    if flag("--probe") {
        let parted = traffic::probe(&left, &right, stream, PARTINGS)?;
        for Unequal { step, request, differences, .. } in parted {
            println!("{step} {request}");
            differences
                .iter()
                .for_each(|d| println!("    {}\n        {}\n        {}", d.place, d.left, d.right));
        }
        return Ok(());
    }
    let report = traffic::play(&left, &right, stream)?;
    if flag("--all") {
        report.unequal.iter().for_each(|unequal| println!("{unequal:#?}"));
    }
    println!("{}", report.grouped());
    let differ = report.unequal.len();
    println!("seed {seed}: {} of 1000 equal, {differ} of {count} differ", report.per_mille());
    Ok(())
}

/// In memory, as the test does and for its reason.
fn start(kind: Kind, deny: bool) -> Result<Subject, String> {
    let open = Setup::of(kind, Mode::Dev);
    let setup = if deny { open.denying(MANAGEMENT) } else { open };
    let mut subject = Subject::start(setup)?;
    subject.settle().map(|()| subject)
}
