//! How a month passes: each actor's working days, sessions and calls.

use chrono::{DateTime, Datelike, Weekday};

use super::archetypes::agents;
use super::chance::Chance;
use super::company::{Act, Actor, Hours, Start};
use super::incidents::Scene;
use super::people::OTHERS;
use super::record::{Event, Outcome};
use super::session::Session;

/// Seconds in a day.
pub const DAY: i64 = 86_400;

/// Every so many days the monthly job runs, on the 28th of them first.
const MONTH: u32 = 30;
const CLOSING_DAY: u32 = 27;

/// In its first working days an actor shows all that it ever does; later it repeats that now and then,
/// so that nothing usual is ever forgotten by a look-back of two months.
const INTRODUCTION_DAYS: u32 = 3;
const REPETITION_DAYS: u32 = 10;

/// The days of a history and the seed of everything in it.
#[derive(Clone, Copy, Debug)]
pub struct Calendar {
    /// The seed.
    pub seed: u64,
    /// The first second of the first day.
    pub start: i64,
    /// How many days.
    pub days: u32,
    /// The second after the last one.
    pub end: i64,
}

impl Calendar {
    /// The first second of day `index`.
    pub fn day(&self, index: u32) -> i64 {
        self.start + i64::from(index) * DAY
    }

    /// The day that lies `before` days before the last one, if the history reaches back so far.
    pub fn day_before_last(&self, before: u32) -> Option<u32> {
        self.days.checked_sub(before + 1)
    }
}

/// Everybody.
pub fn everybody() -> impl Iterator<Item = &'static Actor> {
    agents().chain(OTHERS)
}

/// The actor of that name.
pub fn actor(name: &str) -> Option<&'static Actor> {
    everybody().find(|actor| actor.name == name)
}

/// The agent that assumes this actor's role.
pub fn parent(of: &Actor) -> Option<&'static Actor> {
    match of.start {
        Start::Agent(name) => actor(name),
        _ => None,
    }
}

/// All that `actor` did in the history, incidents aside, in no order.
pub fn history(calendar: &Calendar, actor: &Actor) -> Vec<Event> {
    let mut work = Work {
        calendar,
        actor,
        chance: Chance::new(calendar.seed, &format!("month of {}", actor.name)),
        events: Vec::new(),
    };
    let born = actor.born.and_then(|before| calendar.day_before_last(before)).unwrap_or(0);
    let mut worked = 0;
    for index in born..calendar.days {
        if work.day(index, worked) {
            worked += 1;
        }
    }
    work.events
}

/// The events of a scene whose first call is at `at`.
pub fn play(scene: &Scene, actor: &Actor, seed: u64, at: i64, chance: &mut Chance) -> Vec<(Act, Event)> {
    let mut session = Session::resume(actor, seed, at - 60, chance);
    if let Some(user_agent) = scene.user_agent {
        session = session.says(user_agent);
    }
    if let Some(service) = scene.through {
        session = session.through(service);
    }
    let mut events = Vec::new();
    let mut at = at;
    for step in scene.steps {
        for _ in 0..step.times {
            events.push((step.act, session.call(&step.act, at, step.outcome, chance)));
            at += scene.pace;
        }
    }
    events
}

struct Work<'a> {
    calendar: &'a Calendar,
    actor: &'a Actor,
    chance: Chance,
    events: Vec<Event>,
}

impl Work<'_> {
    /// One day, if it is a working day; `worked` tells how many there were before.
    fn day(&mut self, index: u32, worked: u32) -> bool {
        let midnight = self.calendar.day(index);
        let rhythm = self.actor.rhythm;
        let off = match rhythm.hours {
            Hours::Never => true,
            Hours::Office => weekend(midnight),
            Hours::Always | Hours::Clock => false,
        };
        if off {
            return false;
        }
        for (number, act) in self.actor.acts.iter().chain(self.actor.monthly).enumerate() {
            let monthly = number >= self.actor.acts.len();
            let number = u32::try_from(number).unwrap_or(0);
            let introduced = worked < INTRODUCTION_DAYS && number % INTRODUCTION_DAYS == worked;
            let repeated = worked % REPETITION_DAYS == REPETITION_DAYS - 1 && !monthly;
            if introduced || repeated {
                self.alone(act, midnight + 9 * 3600 + i64::from(number) * 97, false);
            }
        }
        if index % MONTH == CLOSING_DAY {
            for (number, act) in self.actor.monthly.iter().enumerate() {
                for repeat in 0..20 {
                    let number = i64::try_from(number).unwrap_or(0);
                    self.alone(act, midnight + 4 * 3600 + number * 600 + repeat * 11, true);
                }
            }
        }
        for number in 0..rhythm.sessions {
            let at = midnight + self.start_of_session(number);
            self.session(at);
        }
        true
    }

    fn session(&mut self, at: i64) {
        let rhythm = self.actor.rhythm;
        let (session, beginning) =
            Session::open(self.actor, parent(self.actor), self.calendar.seed, at, &mut self.chance);
        self.events.extend(beginning);
        let calls = self.chance.between(rhythm.calls.0, rhythm.calls.1);
        let mut at = at;
        for _ in 0..calls {
            let Some(act) = self.chance.weighted(self.actor.acts, |act| act.weight) else { return };
            at += i64::from(self.chance.between(rhythm.pace.0, rhythm.pace.1));
            let outcome = usual_outcome(act, &mut self.chance);
            self.events.push(session.call(act, at, outcome, &mut self.chance));
        }
    }

    /// A call in a session of its own, which succeeds.
    fn alone(&mut self, act: &Act, at: i64, monthly: bool) {
        let (session, beginning) =
            Session::open(self.actor, parent(self.actor), self.calendar.seed, at - 2, &mut self.chance);
        self.events.extend(beginning);
        let event = session.call(act, at, Outcome::Success, &mut self.chance);
        self.events.push(Event { monthly, ..event });
    }

    /// Seconds after midnight at which today's session of that number begins. The last hour stays free,
    /// so that a session ends on the day it began.
    fn start_of_session(&mut self, number: u32) -> i64 {
        let rhythm = self.actor.rhythm;
        match rhythm.hours {
            Hours::Clock => i64::from(number) * (DAY - 3600) / i64::from(rhythm.sessions.max(1)) + 130,
            Hours::Office => i64::from(self.chance.between(8 * 3600, 17 * 3600)),
            Hours::Always | Hours::Never => {
                // Two of three sessions fall into the day.
                let by_day = self.chance.per_mille(667);
                let (from, to) = if by_day { (8, 20) } else { (0, 23) };
                i64::from(self.chance.between(from * 3600, to * 3600 - 1200))
            }
        }
    }
}

fn weekend(at: i64) -> bool {
    let day = DateTime::from_timestamp(at, 0).unwrap_or_default().weekday();
    matches!(day, Weekday::Sat | Weekday::Sun)
}

/// Almost always success; now and then what the service answers on a bad day, never a refusal.
pub fn usual_outcome(act: &Act, chance: &mut Chance) -> Outcome {
    if !chance.per_mille(9) {
        return Outcome::Success;
    }
    match act.call {
        "dynamodb:PutItem" | "dynamodb:UpdateItem" => {
            Outcome::Failed("ConditionalCheckFailedException", "The conditional request failed")
        }
        "s3:GetObject" => Outcome::Failed("NoSuchKey", "The specified key does not exist."),
        _ => Outcome::Failed("ThrottlingException", "Rate exceeded"),
    }
}
