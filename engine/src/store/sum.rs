//! What judged objects add together

use crate::baseline::BaselineDelta;
use crate::chain::Issued;
use crate::finding::Finding;
use crate::measure::Measures;
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
                Some(known) => {
                    known.days |= presence.days;
                    known.first = known.first.min(presence.first);
                    known.last = known.last.max(presence.last);
                    known.uses += presence.uses;
                }
                None => {
                    self.baseline.uses.insert(key.clone(), *presence);
                }
            }
        }
        for (key, denials) in &baseline.denials {
            match self.baseline.denials.get_mut(key) {
                Some(known) => {
                    known.first = known.first.min(denials.first);
                    known.last = known.last.max(denials.last);
                    known.count += denials.count;
                }
                None => {
                    self.baseline.denials.insert(key.clone(), *denials);
                }
            }
        }
        self.measures.merge(measures);
        self.issued.extend_from_slice(issued);
        for finding in findings {
            match self.findings.get_mut(&finding.id) {
                Some(known) => known.merge(finding.clone()),
                None => {
                    self.findings.insert(finding.id.clone(), finding.clone());
                }
            }
        }
    }

    /// Rows that it would take to write it.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.baseline.uses.len()
            + self.baseline.denials.len()
            + self.measures.counts.len()
            + self.findings.len()
    }
}
