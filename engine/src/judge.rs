//! Asks every detection of every batch.

mod plans;
mod stateless;

use crate::calls::{self, Brought, CallFacts, Calls, Hearers, Kinds, Rules};
use crate::detection::Detection;
use crate::finding::{Evidence, Finding, FindingState, Severity};
use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type};
use datafusion::error::DataFusionError;
use ingest::event::EventBatch;
use std::collections::HashMap;
use std::sync::Arc;

pub use plans::Plans;

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

/// Asks planned detections. One batch at a time: give each worker its own judge.
pub struct Judge {
    rules: Arc<Rules>,
    kinds: Kinds,
    keeps_rows: bool,
    plans: Arc<Plans>,
}

impl std::fmt::Debug for Judge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Judge").field("plans", &self.plans).finish_non_exhaustive()
    }
}

impl Judge {
    /// A judge that has seen nothing yet.
    #[must_use]
    pub fn new(rules: Arc<Rules>, plans: Arc<Plans>) -> Judge {
        Judge { rules, kinds: Kinds::new(plans.reads()), keeps_rows: false, plans }
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
        let sees_all = self.keeps_rows || self.plans.sees_all();
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
            self.ask(asked, events, &calls, &table, &mut findings).await?;
        }
        let mut findings: Vec<Finding> = findings.into_values().map(|counted| counted.finding).collect();
        findings.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(Judged { findings, calls })
    }

    /// Which detections' filters let each row through.
    fn heard_by(&self, table: &RecordBatch) -> Result<Vec<Hearers>, JudgeError> {
        let mut heard_by = vec![Hearers::default(); table.num_rows()];
        for (place, planned) in self.plans.all().iter().enumerate() {
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
        for (place, planned) in self.plans.all().iter().enumerate() {
            if planned.filter.is_some() && !asked.has(place) {
                continue;
            }
            let detection = &planned.detection;
            let answers = self
                .plans
                .answers(planned, table)
                .await
                .map_err(|cause| JudgeError::Query { id: detection.id.clone(), cause: Box::new(cause) })?;
            for answer in answers.iter().filter(|answer| answer.num_rows() > 0) {
                gather(detection, events, calls, answer, findings)
                    .map_err(|reason| JudgeError::Answer { id: detection.id.clone(), reason })?;
            }
        }
        Ok(())
    }
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
