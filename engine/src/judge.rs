//! Asks every detection of every batch. Planned once, run on each batch that is put into the slot.

mod stateless;

use crate::calls::{self, Brought, CallFacts, Calls, Hearers, Kinds, Reads, Rules};
use crate::detection::Detection;
use crate::finding::{Evidence, Finding, FindingState, Severity};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, SchemaRef};
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::DataFusionError;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::execution_plan::reset_plan_states;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::physical_plan::{ExecutionPlan, collect};
use datafusion::prelude::{SessionConfig, SessionContext};
use ingest::event::EventBatch;
use stateless::{Filter, Stateless};
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Why a batch could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// A detection's SQL cannot be planned.
    #[error("detection {id} cannot be planned: {cause}")]
    Plan {
        /// The detection.
        id: String,
        /// What the planner said.
        cause: Box<DataFusionError>,
    },
    /// A detection failed while running. Nothing of the batch may be committed: it would be a missed call.
    #[error("detection {id} failed: {cause}")]
    Query {
        /// The detection.
        id: String,
        /// What the engine said.
        cause: Box<DataFusionError>,
    },
    /// A detection answered something other than it must.
    #[error("detection {id} gave a wrong answer: {reason}")]
    Answer {
        /// The detection.
        id: String,
        /// What is wrong.
        reason: String,
    },
}

/// One batch, judged.
#[derive(Debug)]
pub struct Judged {
    /// What the detections say, at most one per (detection, agent else actor, subject, window), by id.
    pub findings: Vec<Finding>,
    /// The annotated calls, with what they add to the baseline and how their verdicts count.
    pub calls: Calls,
}

/// Planned detections with a slot of their own. One batch at a time: give each worker its own judge.
pub struct Judge {
    rules: Arc<Rules>,
    kinds: Kinds,
    keeps_rows: bool,
    context: SessionContext,
    slot: Arc<Slot>,
    planned: Vec<Planned>,
}

impl std::fmt::Debug for Judge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judge").field("detections", &self.planned.len()).finish_non_exhaustive()
    }
}

impl Judge {
    /// Plans the detections.
    ///
    /// # Errors
    /// [`JudgeError::Plan`] or [`JudgeError::Answer`] naming the detection.
    pub async fn new(rules: Arc<Rules>, detections: &[Detection]) -> Result<Judge, JudgeError> {
        let mut config = SessionConfig::new().with_target_partitions(1);
        // A plan that is run again must be reset, and dynamic filters cannot be (apache/datafusion#19905).
        config.options_mut().optimizer.enable_dynamic_filter_pushdown = false;
        let context = SessionContext::new_with_config(config);
        let slot = Arc::new(Slot { schema: calls::schema(), batch: RwLock::default() });
        let plan_error = |id: &str, cause| JudgeError::Plan { id: id.to_owned(), cause: Box::new(cause) };
        let table = StreamingTable::try_new(calls::schema(), vec![slot.clone()])
            .map_err(|cause| plan_error("calls", cause))?;
        context.register_table("calls", Arc::new(table)).map_err(|cause| plan_error("calls", cause))?;

        let mut planned = Vec::with_capacity(detections.len());
        for detection in detections {
            let frame =
                context.sql(&detection.sql).await.map_err(|cause| plan_error(&detection.id, cause))?;
            let plan =
                frame.create_physical_plan().await.map_err(|cause| plan_error(&detection.id, cause))?;
            let columns: Vec<String> =
                plan.schema().fields().iter().map(|field| field.name().clone()).collect();
            if columns != ["call", "subject", "severity", "title", "why"] {
                let reason =
                    format!("its columns are {columns:?}; they must be call, subject, severity, title, why");
                return Err(JudgeError::Answer { id: detection.id.clone(), reason });
            }
            let stateless = Stateless::of(&plan);
            let filter = stateless.as_ref().and_then(Stateless::filter);
            planned.push(Planned { detection: detection.clone(), stateless, filter, plan });
        }
        let mut reads = Reads::default();
        for planned in &planned {
            if let Some(filter) = &planned.filter {
                reads.merge(filter.reads());
            }
        }
        Ok(Judge { rules, kinds: Kinds::new(reads), keeps_rows: false, context, slot, planned })
    }

    /// Keeps every row in [`Calls::rows`], for who wants to show them all. Costs the time that it takes to write them.
    #[must_use]
    pub fn keeping_rows(self) -> Judge {
        Judge { keeps_rows: true, ..self }
    }

    /// Judges one batch. Reads only: the same batch and rules give the same findings.
    ///
    /// `events`: any number of rows in any order. The baseline is the one before this batch.
    ///
    /// # Errors
    /// [`JudgeError`] when a detection fails; nothing of the batch counts then.
    pub async fn judge(&mut self, events: &EventBatch) -> Result<Judged, JudgeError> {
        let whole;
        let events = if events.has_built(&calls::BUILT) {
            events
        } else {
            whole = events.whole();
            &whole
        };
        let (view, rules) = (events.view(), Arc::clone(&self.rules));
        let brought = Brought::of(events, &view, &rules.grants);
        let grants_revision = rules.grants.revision();
        let walked = self.kinds.walk(events, &view, &rules, &brought);
        let sees_all = self.keeps_rows || self.planned.iter().any(|planned| planned.filter.is_none());
        let (rows, asked) = if sees_all {
            (walked.all(), Hearers::ALL)
        } else {
            let unheard = self.kinds.unheard(&walked);
            if !unheard.is_empty() {
                let (table, _) = self.kinds.write(&view, &rules, &brought, &walked, &unheard);
                let heard_by = self.heard_by(&table)?;
                self.kinds.hear(&walked, &unheard, &heard_by);
            }
            self.kinds.loud(&walked)
        };
        let mut findings: HashMap<String, Counted> = HashMap::new();
        let (table, rows) = match rows.is_empty() {
            true => (RecordBatch::new_empty(calls::schema()), Vec::new()),
            false => self.kinds.write(&view, &rules, &brought, &walked, &rows),
        };
        let calls = Calls::new(rows, walked, brought, grants_revision);
        if sees_all || table.num_rows() > 0 {
            self.slot.put(Some(table.clone()));
            let answered = self.ask(asked, events, &calls, &table, &mut findings).await;
            self.slot.put(None);
            answered?;
        }
        let mut findings: Vec<Finding> = findings.into_values().map(|counted| counted.finding).collect();
        findings.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(Judged { findings, calls })
    }

    /// Which detections' filters let each row through.
    fn heard_by(&self, table: &RecordBatch) -> Result<Vec<Hearers>, JudgeError> {
        let mut heard_by = vec![Hearers::default(); table.num_rows()];
        for (place, planned) in self.planned.iter().enumerate() {
            let Some(filter) = &planned.filter else { continue };
            let kept = filter.kept(table).map_err(|cause| JudgeError::Query {
                id: planned.detection.id.clone(),
                cause: Box::new(cause),
            })?;
            for at in kept {
                if let Some(heard_by) = heard_by.get_mut(at) {
                    heard_by.add(place);
                }
            }
        }
        Ok(heard_by)
    }

    /// Asks those detections that let some row of the table through.
    async fn ask(
        &self,
        asked: Hearers,
        events: &EventBatch,
        calls: &Calls,
        table: &RecordBatch,
        findings: &mut HashMap<String, Counted>,
    ) -> Result<(), JudgeError> {
        for (place, Planned { detection, plan, stateless, filter }) in self.planned.iter().enumerate() {
            if filter.is_some() && !asked.has(place) {
                continue;
            }
            let failed = |cause| JudgeError::Query { id: detection.id.clone(), cause: Box::new(cause) };
            let answers = match stateless {
                Some(stateless) => vec![stateless.run(table).map_err(failed)?],
                None => {
                    let plan = reset_plan_states(plan.clone()).map_err(failed)?;
                    collect(plan, self.context.task_ctx()).await.map_err(failed)?
                }
            };
            for answer in answers.iter().filter(|answer| answer.num_rows() > 0) {
                gather(detection, events, calls, answer, findings)
                    .map_err(|reason| JudgeError::Answer { id: detection.id.clone(), reason })?;
            }
        }
        Ok(())
    }
}

struct Planned {
    detection: Detection,
    plan: Arc<dyn ExecutionPlan>,
    stateless: Option<Stateless>,
    /// Where rows that look alike to it can be asked once
    filter: Option<Filter>,
}

struct Counted {
    finding: Finding,
    last_event: usize,
}

fn gather(
    detection: &Detection,
    events: &EventBatch,
    calls: &Calls,
    answer: &RecordBatch,
    findings: &mut HashMap<String, Counted>,
) -> Result<(), String> {
    let view = events.view();
    let text = |name: &str| -> Result<_, String> {
        let column = answer.column_by_name(name).ok_or_else(|| format!("it has no column `{name}`"))?;
        cast(column, &DataType::Utf8View).map_err(|e| e.to_string())
    };
    let (subjects, severities) = (text("subject")?, text("severity")?);
    let (titles, whys) = (text("title")?, text("why")?);
    let (subjects, severities) = (subjects.as_string_view(), severities.as_string_view());
    let (titles, whys) = (titles.as_string_view(), whys.as_string_view());
    let rows = answer
        .column_by_name("call")
        .and_then(|c| c.as_primitive_opt::<Int64Type>())
        .ok_or("its column `call` must be the `call` of `calls`")?;
    for at in 0..answer.num_rows() {
        let facts: &CallFacts =
            calls.row(rows.value(at)).ok_or("it names a call that is not in the batch")?;
        if subjects.is_null(at) {
            return Err("its subject is null".to_owned());
        }
        let subject = subjects.value(at);
        let severity: Severity = severities.value(at).parse()?;
        let agent = facts.agent.as_ref().map(|a| a.name.as_str());
        let window_start = detection.window.start(facts.time);
        let id = Finding::id_of(&detection.id, agent, &facts.actor, subject, window_start);
        let event_id = view.event_id(facts.event);
        let finding = Finding {
            id: id.clone(),
            detection: detection.id.clone(),
            family: detection.family.clone(),
            severity,
            state: FindingState::Open,
            agent: agent.map(str::to_owned),
            actor: facts.actor.to_string(),
            subject: subject.to_owned(),
            window_start,
            title: titles.value(at).to_owned(),
            why: whys.value(at).to_owned(),
            first_seen: facts.time,
            last_seen: facts.time,
            count: 1,
            events: vec![Evidence { time: facts.time, event_id: event_id.to_owned() }],
            frameworks: detection.frameworks.clone(),
            sample: facts.sample(&view),
            incident: None,
            close_reason: None,
            note: None,
            by: None,
        };
        match findings.get_mut(&id) {
            // One event that needed two permissions is one event.
            Some(known) if known.last_event == facts.event => {
                known.finding.severity = known.finding.severity.max(severity);
            }
            Some(known) => {
                known.finding.merge(finding);
                known.last_event = facts.event;
            }
            None => {
                findings.insert(id, Counted { finding, last_event: facts.event });
            }
        }
    }
    Ok(())
}

/// The table `calls`: whatever batch is in it now.
#[derive(Debug)]
struct Slot {
    schema: SchemaRef,
    batch: RwLock<Option<RecordBatch>>,
}

impl Slot {
    fn put(&self, batch: Option<RecordBatch>) {
        *self.batch.write().unwrap_or_else(PoisonError::into_inner) = batch;
    }
}

impl PartitionStream for Slot {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _context: Arc<TaskContext>) -> SendableRecordBatchStream {
        let batch = self.batch.read().unwrap_or_else(PoisonError::into_inner).clone();
        let batches = futures::stream::iter(batch.into_iter().map(Ok));
        Box::pin(RecordBatchStreamAdapter::new(self.schema.clone(), batches))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::baseline::Baseline;
    use crate::detection;
    use crate::grant::Grants;
    use crate::manifest::Versions;

    #[tokio::test]
    async fn what_ships_needs_no_plan_and_what_groups_does() {
        let rules = Arc::new(Rules {
            manifests: Versions::default(),
            grants: Grants::default(),
            baseline: Baseline::default(),
        });
        let judge = Judge::new(rules.clone(), &detection::built_in().unwrap()).await.unwrap();
        assert!(judge.planned.iter().all(|planned| planned.stateless.is_some()));

        let head = "-- id: X1\n-- family: x\n-- about: y\n-- window: day\n-- frameworks: A\n";
        let grouped =
            "SELECT min(call) AS call, actor AS subject, 'low' AS severity, 'x' AS title, 'y' AS why
                       FROM calls GROUP BY actor";
        let grouped = Detection::parse("x", &format!("{head}{grouped}")).unwrap();
        let judge = Judge::new(rules, &[grouped]).await.unwrap();
        assert!(judge.planned[0].stateless.is_none());
    }
}
