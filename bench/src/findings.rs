//! What a work found, and whether it is what was aimed at.

use crate::stats::Summary;

/// Who does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Subject {
    Consul,
    Proconsul,
    Limit,
}

impl Subject {
    pub(crate) const ALL: [Self; 3] = [Self::Consul, Self::Proconsul, Self::Limit];
}

/// Something that is measured, and its unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gauge {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
}

/// One gauge's readings, round by round, for each subject.
#[derive(Debug)]
pub(crate) struct Measure {
    pub(crate) gauge: Gauge,
    readings: [Vec<f64>; Subject::ALL.len()],
}

impl Measure {
    pub(crate) fn summary(&self, subject: Subject) -> Option<Summary> {
        Summary::of(&self.readings[subject as usize])
    }

    /// proconsul's median as a multiple of another's.
    pub(crate) fn ratio(&self, to: Subject) -> Option<f64> {
        let (ours, theirs) = (self.summary(Subject::Proconsul)?.median, self.summary(to)?.median);
        (theirs > 0.0).then_some(ours / theirs)
    }
}

/// What a median of proconsul's shall be.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Bound {
    /// At most this many times the median of another.
    AtMost(f64, Subject),
    /// At least this many times the median of another.
    AtLeast(f64, Subject),
    /// At most this, in the gauge's unit.
    Below(f64),
    /// At most this above the median of another, in the gauge's unit.
    Above(f64, Subject),
}

/// A figure to reach.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) gauge: Gauge,
    pub(crate) bound: Bound,
}

/// All that one work found.
#[derive(Debug)]
pub(crate) struct Findings {
    pub(crate) title: String,
    /// What stands in the limit's column.
    pub(crate) limit: &'static str,
    pub(crate) measures: Vec<Measure>,
    pub(crate) targets: Vec<Target>,
    /// What a reader has to know, such as a subject that did not run.
    pub(crate) notes: Vec<String>,
}

impl Findings {
    pub(crate) fn new(title: String, limit: &'static str) -> Self {
        Self { title, limit, measures: Vec::new(), targets: Vec::new(), notes: Vec::new() }
    }

    /// Notes one round's reading.
    pub(crate) fn read(&mut self, gauge: Gauge, subject: Subject, value: f64) {
        let known = self.measures.iter().position(|measure| measure.gauge == gauge);
        let at = known.unwrap_or_else(|| {
            self.measures.push(Measure { gauge, readings: Default::default() });
            self.measures.len() - 1
        });
        self.measures[at].readings[subject as usize].push(value);
    }

    pub(crate) fn target(&mut self, gauge: Gauge, bound: Bound) {
        self.targets.push(Target { gauge, bound });
    }

    /// What was found for a target, and whether that meets it; nothing when it was not measured.
    pub(crate) fn verdict(&self, target: &Target) -> Option<(f64, bool)> {
        let measure = self.measures.iter().find(|measure| measure.gauge == target.gauge)?;
        Some(match target.bound {
            Bound::AtMost(times, other) => {
                let ratio = measure.ratio(other)?;
                (ratio, ratio <= times)
            }
            Bound::AtLeast(times, other) => {
                let ratio = measure.ratio(other)?;
                (ratio, ratio >= times)
            }
            Bound::Below(most) => {
                let median = measure.summary(Subject::Proconsul)?.median;
                (median, median <= most)
            }
            Bound::Above(most, other) => {
                let [ours, theirs] = [Subject::Proconsul, other].map(|of| measure.summary(of));
                let more = ours?.median - theirs?.median;
                (more, more <= most)
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COST: Gauge = Gauge { name: "cost", unit: "µs" };

    fn check(consul: &[f64], proconsul: &[f64], bound: Bound, expected: Option<(f64, bool)>) {
        let mut findings = Findings::new(String::new(), "");
        consul.iter().for_each(|value| findings.read(COST, Subject::Consul, *value));
        proconsul.iter().for_each(|value| findings.read(COST, Subject::Proconsul, *value));
        findings.target(COST, bound);
        assert_eq!(
            findings.verdict(&findings.targets[0]),
            expected,
            "{consul:?} {proconsul:?} {bound:?}"
        );
    }

    #[test]
    fn a_target_is_judged_by_medians() {
        check(
            &[80.0, 90.0, 100.0],
            &[9.0, 99.0, 8.0],
            Bound::AtMost(0.125, Subject::Consul),
            Some((0.1, true)),
        );
        check(&[10.0], &[2.0], Bound::AtMost(0.125, Subject::Consul), Some((0.2, false)));
        check(&[10.0], &[50.0], Bound::AtLeast(5.0, Subject::Consul), Some((5.0, true)));
        check(&[], &[11.0], Bound::Below(12.0), Some((11.0, true)));
        check(&[8.0], &[11.0], Bound::Above(10.0, Subject::Consul), Some((3.0, true)));
        check(&[8.0], &[19.0], Bound::Above(10.0, Subject::Consul), Some((11.0, false)));
    }

    #[test]
    fn what_was_not_measured_is_not_judged() {
        check(&[], &[1.0], Bound::AtMost(0.125, Subject::Consul), None);
        check(&[1.0], &[], Bound::Below(12.0), None);
        check(&[], &[1.0], Bound::Above(10.0, Subject::Consul), None);
    }
}
