//! Plans that only filter and compute: their expressions are run on the batch itself.
//!
//! As a plan, a detection costs some 250 µs a batch whatever its size: nodes are made anew, streams opened. Most
//! batches are small, most detections are one filter and one projection.

use arrow::array::{AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::streaming::StreamingTableExec;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use std::sync::Arc;

/// Filters and projections, from the table upwards.
pub(super) struct Stateless {
    steps: Vec<Step>,
}

enum Step {
    /// Only these columns.
    Columns(Vec<usize>),
    /// Only the rows of which this is true.
    Keep(Arc<dyn PhysicalExpr>),
    /// New columns from old ones.
    Compute(Vec<Arc<dyn PhysicalExpr>>, SchemaRef),
}

impl Stateless {
    /// None where the plan holds anything else, which must run as a plan.
    pub(super) fn of(plan: &Arc<dyn ExecutionPlan>) -> Option<Stateless> {
        let mut steps = Vec::new();
        let mut node = plan;
        // Collected from the top down; a node's own steps stand in reverse too.
        loop {
            if let Some(projection) = node.downcast_ref::<ProjectionExec>() {
                let columns = projection.expr().iter().map(|column| column.expr.clone()).collect();
                steps.push(Step::Compute(columns, projection.schema()));
            } else if let Some(filter) = node.downcast_ref::<FilterExec>() {
                if filter.fetch().is_some() {
                    return None;
                }
                if let Some(columns) = filter.projection() {
                    steps.push(Step::Columns(columns.to_vec()));
                }
                steps.push(Step::Keep(filter.predicate().clone()));
            } else if let Some(table) = node.downcast_ref::<StreamingTableExec>() {
                if table.limit().is_some() {
                    return None;
                }
                if let Some(columns) = table.projection() {
                    steps.push(Step::Columns(columns.to_vec()));
                }
                steps.reverse();
                return Some(Stateless { steps });
            } else if !node.is::<CooperativeExec>() {
                return None;
            }
            node = node.children().first()?;
        }
    }

    /// What the plan would give for this batch.
    pub(super) fn run(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        let mut batch = batch.clone();
        for step in &self.steps {
            batch = match step {
                Step::Columns(columns) => batch.project(columns)?,
                Step::Keep(predicate) => {
                    let keep = predicate.evaluate(&batch)?.into_array(batch.num_rows())?;
                    filter_record_batch(&batch, keep.as_boolean())?
                }
                Step::Compute(columns, schema) => {
                    let rows = batch.num_rows();
                    let columns = columns
                        .iter()
                        .map(|column| column.evaluate(&batch)?.into_array(rows))
                        .collect::<Result<Vec<_>>>()?;
                    let options = RecordBatchOptions::new().with_row_count(Some(rows));
                    RecordBatch::try_new_with_options(schema.clone(), columns, &options)?
                }
            };
            if batch.num_rows() == 0 {
                break;
            }
        }
        Ok(batch)
    }
}
