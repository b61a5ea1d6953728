//! The ledger's series: what should have come in, and what did.

use super::{Known, Registrar, of};
use engine::ledger::FileVerdict;
use engine::store::LedgerTotals;
use prometheus::{Gauge, IntCounterVec, IntGauge, IntGaugeVec};

/// How a sweep ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SweepOutcome {
    /// Everything was listed.
    Whole,
    /// Some folder could not be listed.
    Partial,
}

impl SweepOutcome {
    const ALL: [Self; 2] = [Self::Whole, Self::Partial];

    fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Partial => "partial",
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Ledger {
    files: IntGaugeVec,
    chains: IntGauge,
    attested: Gauge,
    gaps: IntGauge,
    problems: IntGauge,
    sweeps: IntCounterVec,
    recalled: IntCounterVec,
}

impl Ledger {
    pub(super) fn new(made: &Registrar) -> Result<Ledger, prometheus::Error> {
        Ok(Ledger {
            files: made.gauges(
                "remit_ledger_files",
                "Log files of the last days by what is known of them",
                &["source", "verdict"],
            )?,
            chains: made.gauge("remit_ledger_chains", "Chains of CloudTrail digests that are followed")?,
            attested: made.with(Gauge::new(
                "remit_ledger_attested_through_timestamp_seconds",
                "Until when every chain has digests: the oldest of their newest ends; 0 before the first",
            )?)?,
            gaps: made.gauge("remit_ledger_gaps", "Times that no digest covers")?,
            problems: made.gauge("remit_ledger_digest_problems", "Digests that prove nothing")?,
            sweeps: made.counters(
                "remit_ledger_sweeps_total",
                "Listings of a source's last days, by how they ended",
                &["source", "outcome"],
            )?,
            recalled: made.counters(
                "remit_ledger_recalled_total",
                "Objects fetched because a listing or a digest names them and nobody told of them",
                &["source"],
            )?,
        })
    }

    pub(super) fn start_at_zero(&self, known: &Known) {
        for source in &known.sources {
            self.recalled.with_label_values(&[source]);
            for outcome in SweepOutcome::ALL {
                self.sweeps.with_label_values(&[source.as_str(), outcome.as_str()]);
            }
            for verdict in FileVerdict::ALL {
                self.files.with_label_values(&[source.as_str(), verdict.as_str()]);
            }
        }
    }
}

impl super::Metrics {
    /// Counts one sweep.
    pub fn swept(&self, source: &str, outcome: SweepOutcome) {
        self.ledger.sweeps.with_label_values(&[of(&self.known.sources, source), outcome.as_str()]).inc();
    }

    /// Counts objects that were fetched though nobody told of them.
    pub fn recalled(&self, source: &str, n: u64) {
        self.ledger.recalled.with_label_values(&[of(&self.known.sources, source)]).inc_by(n);
    }

    /// Sets what the ledger knows.
    pub fn ledger(&self, totals: &LedgerTotals) {
        let _one_at_a_time = self.lock();
        self.ledger.files.reset();
        self.ledger.start_at_zero(&self.known);
        for (source, verdict, count) in &totals.files {
            let source = of(&self.known.sources, source);
            let Some(verdict) = FileVerdict::ALL.into_iter().find(|known| known.as_str() == verdict) else {
                continue;
            };
            self.ledger.files.with_label_values(&[source, verdict.as_str()]).add(*count);
        }
        self.ledger.chains.set(totals.chains);
        self.ledger.attested.set(totals.attested_through.map_or(0.0, |through| through as f64 / 1e6));
        self.ledger.gaps.set(totals.gaps);
        self.ledger.problems.set(totals.problems);
    }
}
