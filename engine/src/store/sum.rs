//! What judged objects add together

use crate::baseline::{BaselineDelta, Denials, Presence};
use crate::chain::Issued;
use crate::finding::Finding;
use crate::judge::Judged;
use crate::measure::Measures;
use std::borrow::Cow;
use std::collections::HashMap;

/// The sum of what judged objects change. Any order and split gives the same.
#[derive(Debug, Default)]
pub struct Sum {
    /// What their events add to the baseline.
    pub baseline: BaselineDelta,
    /// How the answers fell out.
    pub measures: Measures,
    /// What the detections said, by id.
    pub findings: HashMap<String, Finding>,
    /// What the events gave to later ones.
    pub issued: Vec<Issued>,
}

impl Sum {
    /// Adds an object.
    pub fn add(
        &mut self,
        baseline: &BaselineDelta,
        measures: &Measures,
        findings: &[Finding],
        issued: &[Issued],
    ) {
        for (key, presence) in &baseline.uses {
            match self.baseline.uses.get_mut(key) {
                Some(known) => merge_presence(known, presence),
                None => {
                    self.baseline.uses.insert(key.clone(), *presence);
                }
            }
        }
        for (key, denials) in &baseline.denials {
            match self.baseline.denials.get_mut(key) {
                Some(known) => merge_denials(known, denials),
                None => {
                    self.baseline.denials.insert(key.clone(), *denials);
                }
            }
        }
        self.measures.merge(measures);
        self.issued.extend_from_slice(issued);
        for finding in findings {
            self.find(Cow::Borrowed(finding));
        }
    }

    /// Adds what was judged of an object or of a slice of it.
    pub fn add_judged(&mut self, judged: Judged) {
        let Judged { findings, calls } = judged;
        if self.rows() == 0 {
            self.baseline = calls.baseline;
            self.measures = calls.measures;
            self.issued = calls.issued;
        } else {
            self.add(&calls.baseline, &calls.measures, &[], &calls.issued);
        }
        for finding in findings {
            self.find(Cow::Owned(finding));
        }
    }

    /// Adds another sum.
    pub fn merge(&mut self, other: Sum) {
        for (key, presence) in other.baseline.uses {
            self.baseline
                .uses
                .entry(key)
                .and_modify(|known| merge_presence(known, &presence))
                .or_insert(presence);
        }
        for (key, denials) in other.baseline.denials {
            self.baseline
                .denials
                .entry(key)
                .and_modify(|known| merge_denials(known, &denials))
                .or_insert(denials);
        }
        self.measures.merge(&other.measures);
        self.issued.extend(other.issued);
        for finding in other.findings.into_values() {
            self.find(Cow::Owned(finding));
        }
    }

    fn find(&mut self, finding: Cow<'_, Finding>) {
        match self.findings.get_mut(&finding.id) {
            Some(known) => known.merge(finding.into_owned()),
            None => {
                self.findings.insert(finding.id.clone(), finding.into_owned());
            }
        }
    }

    /// Rows that it would take to write it.
    #[must_use]
    pub fn rows(&self) -> usize {
        let baseline = self.baseline.uses.len() + self.baseline.denials.len();
        baseline + self.measures.counts.len() + self.findings.len() + self.issued.len()
    }
}

fn merge_presence(known: &mut Presence, more: &Presence) {
    known.days |= more.days;
    known.first = known.first.min(more.first);
    known.last = known.last.max(more.last);
    known.uses += more.uses;
}

fn merge_denials(known: &mut Denials, more: &Denials) {
    known.first = known.first.min(more.first);
    known.last = known.last.max(more.last);
    known.count += more.count;
}
