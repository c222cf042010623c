//! The works, one file each, and the order in which they run.

mod acl;
mod dns;
mod dns_large;
mod dns_tcp;
mod dns_visible;
mod health;
mod memory;
mod policy;
mod register;
mod remote;
mod watchers;

use clap::ValueEnum;

use crate::Failure;
use crate::bench::Bench;
use crate::findings::{Findings, Subject};
use crate::options::{Options, Work};
use crate::report;

/// Runs what was chosen, and prints each table as soon as it is there. A work that fails does not keep the others from running.
pub(crate) async fn run(options: Options) -> Result<(), Failure> {
    let bench = Bench::new(&options)?;
    for subject in [Subject::Consul, Subject::Proconsul] {
        match bench.program(subject) {
            Some(program) => println!("{subject:?}: {}", program.display()),
            None => println!(
                "{subject:?}: NOT FOUND; its columns stay empty (see --help for where it is looked for)"
            ),
        }
    }
    println!(
        "{} rounds of {:?}, each subject in turn: median (least–most)",
        bench.rounds, bench.round
    );
    let mut failed = Vec::new();
    for work in Work::value_variants() {
        if options.only.is_empty() || options.only.contains(work) {
            match one(*work, &bench).await {
                Ok(findings) => print!("{}", report::render(&findings)),
                Err(failure) => failed.push(format!("{work:?}: {failure}")),
            }
        }
    }
    if failed.is_empty() { Ok(()) } else { Err(failed.join("\n").into()) }
}

async fn one(work: Work, bench: &Bench) -> Result<Findings, Failure> {
    match work {
        Work::Health => health::run(bench).await,
        Work::Acl => acl::run(bench).await,
        Work::Policy => policy::run(bench).await,
        Work::Register => register::run(bench).await,
        Work::Memory => memory::run(bench).await,
        Work::Watchers => watchers::run(bench).await,
        Work::Dns => dns::run(bench).await,
        Work::DnsLarge => dns_large::run(bench).await,
        Work::DnsTcp => dns_tcp::run(bench).await,
        Work::DnsVisible => dns_visible::run(bench).await,
        Work::Remote => remote::run(bench).await,
    }
}
