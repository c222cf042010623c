//! Random questions in every configuration, asked of the real Consul and of the subject.

use proconsul_conformance::{
    dns::random::{self, Flavour, Report, Sides},
    subject::{Kind, Subject},
};

const SEEDS: [u64; 2] = [1, 2];
const QUESTIONS: usize = 1000;
/// What is not equal is printed; `docs/differences.md` says why.
const EQUAL_PER_10_000_MIN: usize = 9980;
/// So many differences are told of each run.
const TOLD: usize = 10;

fn compare(flavour: Flavour, seed: u64) -> Result<Report, String> {
    let fixture = random::world(flavour, random::CROWD, seed);
    let start = |kind| {
        let subject = Subject::start(fixture.setup(kind))?;
        fixture.establish(&subject)?;
        Ok::<_, String>(subject)
    };
    let (left, right) = (start(Kind::Consul)?, start(Kind::from_env())?);
    let questions = random::questions(&fixture, seed).take(QUESTIONS);
    random::play(&Sides::of(&left, &right), questions).map_err(|error| error.to_string())
}

#[test]
#[ignore = "needs the real Consul: CONFORMANCE_CONSUL"]
fn random_dns() {
    let (mut asked, mut differ) = (0, 0);
    for flavour in Flavour::ALL {
        for seed in SEEDS {
            let report = compare(flavour, seed).unwrap();
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
