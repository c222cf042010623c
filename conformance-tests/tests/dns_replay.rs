//! What the real Consul said over DNS is what the subject says: registered by HTTP, asked over sockets.

use std::{path::Path, time::Duration};

use proconsul_conformance::{
    dns::{
        fixture::{self, Fixture},
        shown, wire,
    },
    fixtures,
    subject::{Kind, Subject},
};

/// Orders are random: one of so many answers must be the recorded one, or alike when that varied, too. The rarest of
/// those recorded comes once in about twenty, and a reply that is kept comes dozens of times.
const TRIES: usize = 3000;
/// Silence for so long is an answer.
const PATIENCE: Duration = Duration::from_millis(300);

#[test]
fn recorded_dns_exchanges() {
    let files = fixtures::scripts(&fixture::folder()).unwrap();
    let only = std::env::var("CONFORMANCE_ONLY").unwrap_or_default();
    let (mut wrong, mut all) = (0, 0);
    for file in files.iter().filter(|file| file.to_string_lossy().contains(&only)) {
        let (asked, misses) = replay(file).unwrap();
        all += asked;
        wrong += misses.len();
        misses.iter().for_each(|miss| println!("{}: {miss}", file.display()));
    }
    assert!(all > 0, "no fixtures");
    assert_eq!(wrong, 0, "of {all} exchanges differ from what was recorded");
}

fn replay(file: &Path) -> Result<(usize, Vec<String>), String> {
    let fixture = Fixture::read(file)?;
    let subject = Subject::start(fixture.setup(Kind::from_env()))?;
    fixture.establish(&subject)?;
    let mut misses = Vec::new();
    for exchange in &fixture.exchanges {
        let once = || {
            wire::exchange(subject.dns_address(), exchange.transport(), &exchange.query, PATIENCE)
        };
        let mut last = None;
        let like = (0..TRIES).any(|_| {
            last = once().ok().flatten();
            exchange.is_like(last.as_deref())
        });
        if !like {
            let (theirs, ours) =
                (shown::show(exchange.reply.as_deref()), shown::show(last.as_deref()));
            misses.push(format!("{}\n  recorded {theirs:#?}\n  answered {ours:#?}", exchange.ask));
        }
    }
    Ok((fixture.exchanges.len(), misses))
}
