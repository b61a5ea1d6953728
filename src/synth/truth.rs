//! The answer key: what a watcher must find in the month, and what it must leave alone.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::chance::Chance;
use super::company::{Act, Actor};
use super::incidents::{INCIDENTS, NEAR_MISSES, Scene};
use super::month::{Calendar, DAY, actor, play};
use super::record::{Event, timestamp};

/// An identity's first use of a permission tells something only after that many active days.
const ACTIVE_DAYS_MIN: usize = 7;

/// One finding that must come, a line of `truth.jsonl`.
#[derive(Clone, Debug, Serialize)]
pub struct Planted {
    /// The incident it belongs to.
    pub incident: &'static str,
    /// What happened.
    pub story: &'static str,
    /// The detection's id.
    pub detection: &'static str,
    /// The agent by its manifest's name; none for other people.
    pub agent: Option<&'static str>,
    /// The ARN of the role or user that acted.
    pub actor: String,
    /// The permission that the finding is about.
    pub subject_permission: &'static str,
    /// The UTC day.
    pub day: String,
    /// The calls that show it.
    pub event_ids: Vec<String>,
}

/// Something that must raise nothing, a line of `near_misses.jsonl`.
#[derive(Clone, Debug, Serialize)]
pub struct NearMiss {
    /// Its name.
    pub near_miss: &'static str,
    /// Why it is quiet.
    pub story: &'static str,
    /// The ARN of the role or user that acted, where one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub actor: Option<String>,
    /// The UTC day.
    pub day: String,
    /// The file it lies in, where the file is the point.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Its calls.
    pub event_ids: Vec<String>,
}

/// What was planted in a history.
#[derive(Debug, Default)]
pub struct AnswerKey {
    /// The findings that must come.
    pub planted: Vec<Planted>,
    /// What must raise nothing.
    pub near_misses: Vec<NearMiss>,
}

impl AnswerKey {
    /// Adds every scene that fits into the calendar to `events`, and says what it must raise.
    pub fn plant(calendar: &Calendar, events: &mut Vec<Event>) -> Self {
        let mut key = Self::default();
        // Oldest first: an earlier scene makes its day an active one for the later ones.
        for scene in INCIDENTS.iter().rev() {
            let Some((who, calls)) = perform(calendar, scene) else { continue };
            let day = calls.iter().map(|(_, event)| event.at).min().unwrap_or_default();
            let known = active_days(events, &who.identity(), day) >= ACTIVE_DAYS_MIN;
            key.planted
                .extend(findings(scene, who, &calls).into_iter().filter(|f| known || f.detection != "BL02"));
            events.extend(calls.into_iter().map(|(_, event)| event));
        }
        key.monthly(events);
        for scene in NEAR_MISSES {
            let Some((who, calls)) = perform(calendar, scene) else { continue };
            key.near_misses.push(NearMiss {
                near_miss: scene.name,
                story: scene.story,
                actor: Some(who.identity()),
                day: calls.first().map(|(_, event)| date(event.at)).unwrap_or_default(),
                file: None,
                event_ids: calls.iter().map(|(_, event)| event.id.clone()).collect(),
            });
            events.extend(calls.into_iter().map(|(_, event)| event));
        }
        key
    }

    fn monthly(&mut self, events: &[Event]) {
        let mut closings: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
        for event in events.iter().filter(|event| event.monthly) {
            let closing = (date(event.at), event.identity.to_string());
            closings.entry(closing).or_default().push(event.id.clone());
        }
        for ((day, actor), event_ids) in closings {
            self.near_misses.push(NearMiss {
                near_miss: "monthly-job",
                story: "a job that comes once a month and is declared: rare, not new",
                actor: Some(actor),
                day,
                file: None,
                event_ids,
            });
        }
    }
}

/// The findings of a scene that was played as `calls`.
pub fn findings(scene: &Scene, who: &Actor, calls: &[(Act, Event)]) -> Vec<Planted> {
    let mut findings = Vec::new();
    for (detection, permission) in scene.findings {
        let evidence = || calls.iter().filter(|(act, _)| shows(scene, act, permission));
        findings.push(Planted {
            incident: scene.name,
            story: scene.story,
            detection,
            agent: who.agent,
            actor: who.identity(),
            subject_permission: permission,
            day: evidence().next().map(|(_, event)| date(event.at)).unwrap_or_default(),
            event_ids: evidence().map(|(_, event)| event.id.clone()).collect(),
        });
    }
    findings
}

/// Whether a call of the scene is evidence for a finding about `permission`. Where a scene leads up to
/// its point with the same permission on a thing within the scope, only the last step counts.
fn shows(scene: &Scene, act: &Act, permission: &str) -> bool {
    let steps = || scene.steps.iter().filter(|step| step.act.permission() == permission);
    let point = steps().next_back();
    act.permission() == permission && point.is_some_and(|step| step.act.on == act.on)
}

/// `2025-11-20`.
pub fn date(at: i64) -> String {
    let mut text = timestamp(at);
    text.truncate(10);
    text
}

/// The scene's actor and calls, if the whole of it lies within the history and the actor was there.
fn perform(calendar: &Calendar, scene: &Scene) -> Option<(&'static Actor, Vec<(Act, Event)>)> {
    let who = actor(scene.actor)?;
    let day = calendar.day_before_last(scene.days_before)?;
    let (hour, minute) = scene.time;
    let at = calendar.day(day) + i64::from(hour * 3600 + minute * 60);
    let mut chance = Chance::new(calendar.seed, &format!("scene {} of {}", scene.name, scene.actor));
    let calls = play(scene, who, calendar.seed, at, &mut chance);
    let whole = calls.iter().all(|(_, event)| event.at < calendar.end);
    whole.then_some((who, calls))
}

fn active_days(events: &[Event], identity: &str, before: i64) -> usize {
    let day = before.div_euclid(DAY);
    let days: BTreeSet<i64> = events
        .iter()
        .filter(|event| &*event.identity == identity)
        .map(|event| event.at.div_euclid(DAY))
        .filter(|active| *active < day)
        .collect();
    days.len()
}
