//! Asks the real Consul what the files of DNS exchanges ask, and writes its replies into them.
//!
//! `cargo run -p proconsul-conformance --bin record-dns [FILE…]`; without a file, all of `fixtures/dns`. In a new file, lines
//! `set`, `node`, `service`, `check`, `prepared` and `ask` are enough (`fixtures/dns/README.md`).

use std::{env, fs, path::Path, path::PathBuf, process::ExitCode, time::Duration};

use proconsul_conformance::{
    dns::{
        fixture::{self, Exchange, Fixture},
        shown, wire, world,
    },
    fixtures,
    json::Json,
    subject::{Kind, NODE, Subject},
};

/// How often each question is asked, to see whether its answer varies.
const SAMPLES: usize = 6;
/// Silence for so long is an answer.
const PATIENCE: Duration = Duration::from_millis(300);

fn main() -> ExitCode {
    let named: Vec<PathBuf> = env::args().skip(1).map(PathBuf::from).collect();
    let files = match named.is_empty() {
        true => fixtures::scripts(&fixture::folder()).expect("the fixtures can be listed"),
        false => named,
    };
    let mut failed = 0;
    for file in &files {
        match record(file) {
            Ok(count) => println!("{}: {count} exchanges recorded", file.display()),
            Err(why) => {
                failed += 1;
                println!("{}: {why}", file.display());
            }
        }
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn record(file: &Path) -> Result<usize, String> {
    let mut fixture = Fixture::read(file)?;
    let subject = Subject::start(fixture.setup(Kind::Consul))?;
    fixture.establish(&subject)?;
    let own = subject.ask("GET", &format!("/v1/catalog/node/{NODE}"), "").text();
    fixture.own = world::own(&Json::parse(&own).ok_or("the program does not know its own node")?);
    for exchange in &mut fixture.exchanges {
        ask(&subject, exchange)?;
    }
    fs::write(file, fixture.print()).map_err(|error| error.to_string())?;
    Ok(fixture.exchanges.len())
}

fn ask(subject: &Subject, exchange: &mut Exchange) -> Result<(), String> {
    let once =
        || wire::exchange(subject.dns_address(), exchange.transport(), &exchange.query, PATIENCE);
    let first = once().map_err(|error| format!("{}: {error}", exchange.ask))?;
    let (mut sizes, mut same) = (vec![first.as_ref().map_or(0, Vec::len)], true);
    // Silence does not vary, and would be waited for each time.
    for _ in 1..if first.is_some() { SAMPLES } else { 1 } {
        let again = once().map_err(|error| format!("{}: {error}", exchange.ask))?;
        same &= shown::show(again.as_deref()) == shown::show(first.as_deref());
        sizes.push(again.map_or(0, |reply| reply.len()));
    }
    sizes.sort_unstable();
    sizes.dedup();
    exchange.varies = if same { Vec::new() } else { sizes };
    exchange.reply = first;
    Ok(())
}
