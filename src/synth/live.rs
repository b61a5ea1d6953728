//! The company after its history: a stream that never ends, the same for the same seed.

use chrono::{DateTime, Utc};

use super::chance::Chance;
use super::company::{Actor, LOG_BUCKET};
use super::incidents::{INCIDENTS, Scene};
use super::month::{actor, everybody, play, usual_outcome};
use super::record::Event;
use super::session::Session;
use super::truth::{Planted, findings};
use super::write::cut;
use super::{Plan, month::Calendar};

/// Events of every second, least and most. A month's own pace would be one in half a minute.
const EVENTS_A_SECOND: (u32, u32) = (1, 5);

/// Seconds between two incidents.
const INCIDENT_EVERY: i64 = 120;

/// Seconds that one session of the stream lasts.
const SESSION: i64 = 900;

/// What the company goes on doing after the end of its history.
pub struct LiveStream {
    calendar: Calendar,
}

/// What happened in one stretch of time.
#[derive(Debug, Default)]
pub struct Stretch {
    /// The objects that were delivered: their paths below the company's folder, and their bytes.
    pub files: Vec<(String, Vec<u8>)>,
    /// How many events they hold.
    pub events: usize,
    /// What a watcher must find in them.
    pub planted: Vec<Planted>,
}

impl LiveStream {
    /// The stream that follows the history of `plan`.
    ///
    /// # Errors
    /// If the plan has no days.
    pub fn new(plan: &Plan) -> anyhow::Result<Self> {
        Ok(Self { calendar: plan.calendar()? })
    }

    /// What happened from `from` until just before `to`; nothing before the history's end.
    ///
    /// Any way to cut a time into stretches gives the same events. A minute holds some 200 of them, all
    /// in memory at once, so ask for minutes rather than for days.
    ///
    /// # Errors
    /// If compressing fails.
    pub fn between(&self, from: DateTime<Utc>, to: DateTime<Utc>) -> anyhow::Result<Stretch> {
        let from = from.timestamp().max(self.calendar.end);
        let mut events = Vec::new();
        let mut stretch = Stretch::default();
        for second in from..to.timestamp() {
            self.usual(second, &mut events);
            self.incident(second, &mut events, &mut stretch.planted);
        }
        stretch.events = events.len();
        for file in cut(events, self.calendar.seed) {
            stretch.files.push((format!("logs/{LOG_BUCKET}/{}", file.key), file.gzip()?));
        }
        Ok(stretch)
    }

    fn usual(&self, second: i64, events: &mut Vec<Event>) {
        let seed = self.calendar.seed;
        let mut chance = Chance::new(seed, &format!("live {second}"));
        let everybody: Vec<&Actor> = everybody().collect();
        for _ in 0..chance.between(EVENTS_A_SECOND.0, EVENTS_A_SECOND.1) {
            let Some(who) = chance.weighted(&everybody, |actor| actor.rhythm.sessions) else { return };
            let Some(act) = chance.weighted(who.acts, |act| act.weight) else { return };
            let began = second - second.rem_euclid(SESSION);
            let mut own = Chance::new(seed, &format!("live session {began} of {}", who.name));
            let session = Session::resume(who, seed, began, &mut own);
            let outcome = usual_outcome(act, &mut chance);
            events.push(session.call(act, second, outcome, &mut chance));
        }
    }

    fn incident(&self, second: i64, events: &mut Vec<Event>, planted: &mut Vec<Planted>) {
        if second.rem_euclid(INCIDENT_EVERY) != 0 {
            return;
        }
        // Only what the history has shown: then no permission in it is new, whatever the day.
        let scenes: Vec<&Scene> = INCIDENTS
            .iter()
            .filter(|scene| scene.again && self.calendar.day_before_last(scene.days_before).is_some())
            .collect();
        let mut chance = Chance::new(self.calendar.seed, &format!("live incident {second}"));
        let Some(who_and_scene) = chance.pick(&scenes).and_then(|scene| Some((actor(scene.actor)?, *scene)))
        else {
            return;
        };
        let (who, scene) = who_and_scene;
        let at_once = Scene { pace: 0, ..*scene };
        let calls = play(&at_once, who, self.calendar.seed, second, &mut chance);
        planted.extend(findings(scene, who, &calls).into_iter().filter(|f| f.detection != "BL02"));
        events.extend(calls.into_iter().map(|(_, event)| event));
    }
}
