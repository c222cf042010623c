//! Random questions in every configuration, asked of the real Consul and of the subject.

use proconsul_conformance::{
    dns::{
        fixture::{Exchange, Fixture},
        random::{self, Flavour, Report, Sides},
    },
    subject::{Kind, Subject},
};

const SEEDS: [u64; 2] = [1, 2];
const QUESTIONS: usize = 1000;
/// What is not equal is printed; `docs/differences.md` says why.
const EQUAL_PER_10_000_MIN: usize = 9980;
/// So many differences are told of each run.
const TOLD: usize = 10;

/// What a flavour's world is asked.
type Stream = fn(&Fixture, u64) -> Box<dyn Iterator<Item = Exchange>>;

fn compare(flavour: Flavour, seed: u64, stream: Stream) -> Result<Report, String> {
    let fixture = random::world(flavour, random::CROWD, seed);
    let start = |kind| {
        let subject = Subject::start(fixture.setup(kind))?;
        fixture.establish(&subject)?;
        Ok::<_, String>(subject)
    };
    let (left, right) = (start(Kind::Consul)?, start(Kind::from_env())?);
    let questions = stream(&fixture, seed).take(QUESTIONS);
    random::play(&Sides::of(&left, &right), questions).map_err(|error| error.to_string())
}

#[test]
#[ignore = "needs the real Consul: CONFORMANCE_CONSUL"]
fn random_dns() {
    judge(&Flavour::ALL, &SEEDS, |world, seed| Box::new(random::questions(world, seed)));
}

#[test]
#[ignore = "needs the real Consul: CONFORMANCE_CONSUL"]
fn random_damaged_dns() {
    judge(&[Flavour::Plain], &SEEDS[..1], |world, seed| Box::new(random::damaged(world, seed)));
}

fn judge(flavours: &[Flavour], seeds: &[u64], stream: Stream) {
    let (mut asked, mut differ) = (0, 0);
    for flavour in flavours {
        for seed in seeds {
            let report = compare(*flavour, *seed, stream).expect("both start and answer");
            println!(
                "{} seed {seed}: {} of 10000 equal\n{}",
                flavour.word(),
                report.per_10_000(),
                report.told(TOLD)
            );
            asked += report.asked;
            differ += report.unequal.len();
        }
    }
    let equal = (asked - differ) * 10_000 / asked;
    println!("{equal} of 10000 equal, {differ} of {asked} differ");
    assert!(equal >= EQUAL_PER_10_000_MIN, "{differ} of {asked} answers differ");
}
