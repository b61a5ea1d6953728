//! Detections as they are planned: once, for all judges

use super::JudgeError;
use super::stateless::{Filter, Stateless};
use crate::calls::{self, Reads};
use crate::detection::Detection;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::{SessionConfig, SessionContext};
use futures::executor::block_on;
use std::sync::Arc;

/// Planned detections, for any number of judges.
pub struct Plans {
    config: SessionConfig,
    planned: Vec<Planned>,
}

/// A detection as it is asked.
pub(super) struct Planned {
    pub(super) detection: Detection,
    plan: Arc<dyn ExecutionPlan>,
    stateless: Option<Stateless>,
    /// Where rows that look alike to it can be asked once
    pub(super) filter: Option<Filter>,
}

impl std::fmt::Debug for Plans {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plans").field("detections", &self.planned.len()).finish_non_exhaustive()
    }
}

impl Plans {
    /// Plans the detections, on as many threads as there are cores: some ms each, and nothing is judged before.
    ///
    /// # Errors
    /// [`JudgeError::Plan`] or [`JudgeError::Answer`] naming the detection.
    pub fn new(detections: &[Detection]) -> std::result::Result<Plans, JudgeError> {
        let mut config = SessionConfig::new().with_target_partitions(1);
        // A plan that is run again must be reset, and dynamic filters cannot be (apache/datafusion#19905).
        config.options_mut().optimizer.enable_dynamic_filter_pushdown = false;
        let context = SessionContext::new_with_config(config.clone());
        let slot = Arc::new(Slot { schema: calls::schema() });
        let table = StreamingTable::try_new(calls::schema(), vec![slot]);
        table
            .and_then(|table| context.register_table("calls", Arc::new(table)))
            .map_err(|cause| JudgeError::Plan { id: "calls".to_owned(), cause: Box::new(cause) })?;

        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let share = detections.len().div_ceil(cores).max(1);
        let planned = std::thread::scope(|scope| {
            let threads: Vec<_> = detections
                .chunks(share)
                .map(|some| {
                    let context = &context;
                    scope.spawn(move || {
                        let plan = |one| block_on(Planned::of(one, context));
                        some.iter().map(plan).collect::<std::result::Result<Vec<_>, _>>()
                    })
                })
                .collect();
            let mut planned = Vec::with_capacity(detections.len());
            for thread in threads {
                planned.extend(thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?);
            }
            Ok(planned)
        })?;
        Ok(Plans { config, planned })
    }

    /// One for each detection, in their order.
    pub(super) fn all(&self) -> &[Planned] {
        &self.planned
    }

    /// How their filters read the table's columns.
    pub(super) fn reads(&self) -> Reads {
        let mut reads = Reads::default();
        for filter in self.planned.iter().filter_map(|planned| planned.filter.as_ref()) {
            reads.merge(filter.reads());
        }
        reads
    }

    /// Whether one of them must be asked of every row.
    pub(super) fn sees_all(&self) -> bool {
        self.planned.iter().any(|planned| planned.filter.is_none())
    }

    /// What one of them says of the calls.
    pub(super) async fn answers(&self, planned: &Planned, calls: &RecordBatch) -> Result<Vec<RecordBatch>> {
        if let Some(stateless) = &planned.stateless {
            return Ok(vec![stateless.run(calls)?]);
        }
        let config = self.config.clone().with_extension(Arc::new(Batch(calls.clone())));
        let context = TaskContext::default().with_session_config(config);
        collect(reset_plan_states(planned.plan.clone())?, Arc::new(context)).await
    }
}

impl Planned {
    async fn of(detection: &Detection, context: &SessionContext) -> std::result::Result<Planned, JudgeError> {
        let id = || detection.id.clone();
        let plan = async { context.sql(&detection.sql).await?.create_physical_plan().await };
        let plan = plan.await.map_err(|cause| JudgeError::Plan { id: id(), cause: Box::new(cause) })?;
        let columns: Vec<String> = plan.schema().fields().iter().map(|field| field.name().clone()).collect();
        if columns != ["call", "subject", "severity", "title", "why"] {
            let reason =
                format!("its columns are {columns:?}; they must be call, subject, severity, title, why");
            return Err(JudgeError::Answer { id: id(), reason });
        }
        let stateless = Stateless::of(&plan);
        let filter = stateless.as_ref().and_then(Stateless::filter);
        Ok(Planned { detection: detection.clone(), plan, stateless, filter })
    }
}

/// The table `calls`: the batch of whoever runs the plan.
#[derive(Debug)]
struct Slot {
    schema: SchemaRef,
}

/// What a plan is run on, as its context carries it.
struct Batch(RecordBatch);

impl PartitionStream for Slot {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batch = context.session_config().get_extension::<Batch>();
        let batch = batch.map(|batch| batch.0.clone());
        let batch = batch.ok_or_else(|| DataFusionError::Execution("no calls were given".to_owned()));
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), futures::stream::iter([batch])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detection;

    fn grouped(sql: &str) -> Detection {
        let head = "-- id: X1\n-- family: x\n-- about: y\n-- window: day\n-- frameworks: A\n";
        Detection::parse("x", &format!("{head}{sql}")).unwrap()
    }

    #[test]
    fn what_ships_needs_no_plan_and_what_groups_does() {
        let plans = Plans::new(&detection::built_in().unwrap()).unwrap();
        assert!(plans.all().iter().all(|planned| planned.stateless.is_some()));

        let sql = "SELECT min(call) AS call, actor AS subject, 'low' AS severity, 'x' AS title, 'y' AS why
                   FROM calls GROUP BY actor";
        let plans = Plans::new(&[grouped(sql)]).unwrap();
        assert!(plans.all()[0].stateless.is_none());
    }

    #[test]
    fn detections_stand_in_their_order_and_the_first_that_is_wrong_is_named() {
        let shipped = detection::built_in().unwrap();
        let plans = Plans::new(&shipped).unwrap();
        let planned: Vec<&str> = plans.all().iter().map(|planned| &*planned.detection.id).collect();
        assert_eq!(planned, shipped.iter().map(|one| &*one.id).collect::<Vec<_>>());

        let mut broken = shipped;
        broken[5].sql = "SELECT nothing FROM calls".to_owned();
        broken[9].sql = "SELECT".to_owned();
        let error = Plans::new(&broken).unwrap_err().to_string();
        assert!(error.contains(&broken[5].id), "{error}");
    }
}
