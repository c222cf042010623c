//! Three seeds of random requests, asked of the real Consul and of the subject.

use proconsul_conformance::{
    subject::{Kind, Mode, Setup, Subject},
    traffic::{self, Guarded, MANAGEMENT, Step, Traffic},
};

/// The first three with which the real program agrees with itself in every answer: elsewhere a map decides.
const SEEDS: [u64; 3] = [6, 8, 13];
const REQUESTS: usize = 2000;
/// What is not equal is printed; README and CHANGELOG say why.
const EQUAL_PER_MILLE_MIN: usize = 995;

/// In memory: on disk the real Consul writes a check that is registered again as newly registered first, and what it was
/// found to be after, whenever its disk is slow enough to be caught in between.
fn settled(setup: Setup) -> Subject {
    let mut subject = Subject::start(setup).expect("the subject starts");
    subject.settle().expect("the subject answers");
    subject
}

#[test]
#[ignore = "needs the real Consul: CONFORMANCE_CONSUL"]
fn random_traffic() {
    let open = |kind| Setup::of(kind, Mode::Dev);
    compare(open, Traffic::new);
}

/// The same under default-deny, with tokens of several kinds.
#[test]
#[ignore = "needs the real Consul: CONFORMANCE_CONSUL"]
fn random_traffic_with_tokens() {
    let denying = |kind| Setup::of(kind, Mode::Dev).denying(MANAGEMENT);
    compare(denying, Guarded::new);
}

fn compare<S: Iterator<Item = Step>>(setup: impl Fn(Kind) -> Setup, stream: impl Fn(u64) -> S) {
    let mut too_different = Vec::new();
    for seed in SEEDS {
        let (left, right) = (settled(setup(Kind::Consul)), settled(setup(Kind::from_env())));
        let report = traffic::play(&left, &right, stream(seed).take(REQUESTS));
        let report = report.expect("both answer every request");
        let differ = report.unequal.len();
        println!(
            "seed {seed}: {} of 1000 equal, {differ} of {REQUESTS} differ\n{}",
            report.per_mille(),
            report.grouped()
        );
        if report.per_mille() < EQUAL_PER_MILLE_MIN {
            too_different.push(seed);
        }
    }
    assert!(
        too_different.is_empty(),
        "seeds {too_different:?} differ in more than five answers of a thousand"
    );
}
