//! Plans that only filter and compute: their expressions are run on the batch itself.
//!
//! As a plan, a detection costs some 250 µs a batch whatever its size: nodes are made anew, streams opened. Most
//! batches are small, most detections are one filter and one projection.

use arrow::array::{Array, AsArray, RecordBatch, RecordBatchOptions};
use arrow::compute::filter_record_batch;
use arrow::datatypes::SchemaRef;
use datafusion::error::Result;
use datafusion::physical_expr::expressions::{Column, IsNotNullExpr, IsNullExpr};
use datafusion::physical_plan::coop::CooperativeExec;
use datafusion::physical_plan::filter::FilterExec;
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::streaming::StreamingTableExec;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use std::sync::Arc;

use crate::calls::{Read, Reads, schema};

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

    /// What decides which rows it answers, where that is asked of the table's own columns and rows may be asked for
    /// others that look alike.
    pub(super) fn filter(&self) -> Option<Filter> {
        let mut filter = Filter { steps: Vec::new(), reads: Reads::default() };
        let schema = schema();
        // Where each column stands in the table.
        let mut columns: Vec<usize> = (0..schema.fields().len()).collect();
        let mut steps = self.steps.iter();
        for step in steps.by_ref() {
            match step {
                Step::Columns(kept) => {
                    columns = kept.iter().map(|at| columns.get(*at).copied()).collect::<Option<_>>()?;
                    filter.steps.push(Step::Columns(kept.clone()));
                }
                Step::Keep(predicate) => {
                    for (at, read) in reads_of(predicate) {
                        filter.reads.add(schema.field(*columns.get(at)?).name(), read);
                    }
                    filter.steps.push(Step::Keep(predicate.clone()));
                }
                Step::Compute(..) => break,
            }
        }
        let is_whole = steps.all(|step| !matches!(step, Step::Keep(_)));
        (is_whole && !filter.reads.tells_every_row_apart()).then_some(filter)
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

/// The filters at the bottom of a plan.
pub(super) struct Filter {
    steps: Vec<Step>,
    reads: Reads,
}

impl Filter {
    /// How it reads the table's columns.
    pub(super) fn reads(&self) -> &Reads {
        &self.reads
    }

    /// The rows that it lets through.
    pub(super) fn kept(&self, batch: &RecordBatch) -> Result<Vec<usize>> {
        let mut batch = batch.clone();
        let mut rows: Vec<usize> = (0..batch.num_rows()).collect();
        for step in &self.steps {
            batch = match step {
                Step::Columns(columns) => batch.project(columns)?,
                Step::Keep(predicate) => {
                    let keep = predicate.evaluate(&batch)?.into_array(batch.num_rows())?;
                    let keep = keep.as_boolean();
                    let is_kept = |at: usize| keep.is_valid(at) && keep.value(at);
                    rows = rows
                        .into_iter()
                        .enumerate()
                        .filter(|(at, _)| is_kept(*at))
                        .map(|(_, row)| row)
                        .collect();
                    filter_record_batch(&batch, keep)?
                }
                Step::Compute(..) => break,
            };
        }
        Ok(rows)
    }
}

/// The columns that an expression reads, by their place, and how.
fn reads_of(expression: &Arc<dyn PhysicalExpr>) -> Vec<(usize, Read)> {
    let mut found = Vec::new();
    let mut waiting = vec![expression];
    while let Some(expression) = waiting.pop() {
        let asked = expression
            .downcast_ref::<IsNotNullExpr>()
            .map(IsNotNullExpr::arg)
            .or_else(|| expression.downcast_ref::<IsNullExpr>().map(IsNullExpr::arg));
        if let Some(column) = asked.and_then(|asked| asked.downcast_ref::<Column>()) {
            found.push((column.index(), Read::Presence));
        } else if let Some(column) = expression.downcast_ref::<Column>() {
            found.push((column.index(), Read::Value));
        } else {
            waiting.extend(expression.children());
        }
    }
    found
}
