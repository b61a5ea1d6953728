//! How the lake gets on.

use super::{Registrar, WORK_BUCKETS};
use engine::lake::{Committed, LakeError, LakeObserver};
use engine::store::LakeDepth;
use prometheus::{Gauge, Histogram, IntCounter, IntGauge};

/// The lake's series; all stay at 0 where there is none.
#[derive(Debug, Clone)]
pub struct LakeMetrics {
    rows: IntCounter,
    bytes: IntCounter,
    pending: IntGauge,
    committed: Gauge,
    commit: Histogram,
    failures: IntCounter,
}

impl LakeMetrics {
    pub(super) fn new(made: &Registrar) -> Result<LakeMetrics, prometheus::Error> {
        Ok(LakeMetrics {
            rows: made.counter("remit_lake_rows_total", "Events given to the lake")?,
            bytes: made.counter("remit_lake_bytes_total", "Bytes of Parquet given to the lake")?,
            pending: made
                .gauge("remit_lake_pending_rows", "Events that are stored and not yet in the lake")?,
            committed: made.with(Gauge::new(
                "remit_lake_commit_timestamp_seconds",
                "When the lake last took everything that waited; 0 before the first time",
            )?)?,
            commit: made.histogram(
                "remit_lake_commit_duration_seconds",
                "Time to give what waits to the lake, as one version",
                WORK_BUCKETS,
            )?,
            failures: made.counter(
                "remit_lake_commit_failures_total",
                "Attempts to give rows to the lake that failed",
            )?,
        })
    }

    fn now() -> f64 {
        engine::time::now() as f64 / 1e6
    }
}

impl LakeObserver for LakeMetrics {
    fn committed(&self, committed: &Committed) {
        self.rows.inc_by(committed.rows);
        self.bytes.inc_by(committed.bytes);
        self.commit.observe(committed.took.as_secs_f64());
        self.committed.set(Self::now());
    }

    fn failed(&self, _cause: &LakeError) {
        self.failures.inc();
    }

    fn waits(&self, depth: LakeDepth) {
        self.pending.set(i64::try_from(depth.rows).unwrap_or(i64::MAX));
    }
}
