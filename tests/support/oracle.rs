//! What must come out of a world: a naive reference that sorts all events by time and asks plain questions of each.
//!
//! It knows the seven detections that a world raises (SC01, SC02, SC04, DS01, PR02, LG01, BL02), whose rules are clear, and
//! shares no code with the judge: what both say, two have said.

use super::world::{Call, DEEDS, Declared, End, Harm, Level, World, name};
use chrono::DateTime;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

const DAY: i64 = 86_400;
/// Active days before anything is new for an identity.
const KNOWN_AFTER: usize = 7;
const EVIDENCE_MAX: usize = 50;

/// Detection, agent, what it is about, day.
pub type Key = (String, String, String, i64);

/// What a finding must say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Expected {
    pub severity: u8,
    pub count: u64,
    pub first: i64,
    pub last: i64,
    /// The ids of its earliest events.
    pub events: Vec<String>,
}

/// What must be found.
pub fn findings(world: &World) -> BTreeMap<Key, Expected> {
    let mut calls: Vec<&Call> = world.calls.iter().collect();
    calls.sort_by_key(|call| (call.at, call.number));
    // Days on which an agent did anything, and on which it did this, with success.
    let mut active: BTreeMap<u16, BTreeSet<i64>> = BTreeMap::new();
    let mut used: BTreeMap<(u16, u8), BTreeSet<i64>> = BTreeMap::new();
    let mut found: BTreeMap<Key, Expected> = BTreeMap::new();
    for call in calls {
        let (deed, day) = (&DEEDS[call.deed as usize], call.at.div_euclid(DAY));
        for (detection, severity) in raised(call) {
            tell(&mut found, world, call, detection, deed.permission.to_owned(), severity);
        }
        if call.end == End::Success {
            let earlier =
                |days: Option<&BTreeSet<i64>>| days.map_or(0, |days| days.range(day - 64..day).count());
            let is_new = earlier(used.get(&(call.agent, call.deed))) == 0;
            if is_new && earlier(active.get(&call.agent)) >= KNOWN_AFTER {
                let severity = match (deed.harm, deed.level) {
                    (Harm::Destroys | Harm::Mints, _) => 3,
                    (_, Level::Write) => 2,
                    _ => 1,
                };
                let subject = format!("{} {}", deed.permission, super::records::role(&name(call.agent)));
                tell(&mut found, world, call, "BL02", subject, severity);
            }
            used.entry((call.agent, call.deed)).or_default().insert(day);
            active.entry(call.agent).or_default().insert(day);
        }
    }
    found
}

/// What one call raises by itself, and how bad it is: 1 is low, 4 critical.
fn raised(call: &Call) -> Vec<(&'static str, u8)> {
    let deed = &DEEDS[call.deed as usize];
    let is_declared = match deed.declared {
        Declared::No => false,
        Declared::OnTickets => !call.elsewhere,
        Declared::Everywhere => true,
    };
    if is_declared {
        return Vec::new();
    }
    let mut raised = Vec::new();
    match call.end {
        End::Failed => {}
        End::Denied => {
            raised.push(("SC02", if matches!(deed.harm, Harm::None) { 2 } else { 3 }));
            if deed.harm == Harm::Blinds {
                raised.push(("LG01", 3));
            }
        }
        End::Success if deed.declared == Declared::OnTickets => raised.push(("SC04", 3)),
        End::Success => {
            raised.push(("SC01", if deed.level == Level::List { 1 } else { 3 }));
            match deed.harm {
                Harm::None => {}
                Harm::Destroys => raised.push(("DS01", 4)),
                Harm::Mints => raised.push(("PR02", 4)),
                Harm::Blinds => raised.push(("LG01", 4)),
            }
        }
    }
    raised
}

fn tell(
    found: &mut BTreeMap<Key, Expected>,
    world: &World,
    call: &Call,
    detection: &str,
    subject: String,
    severity: u8,
) {
    let key = (detection.to_owned(), name(call.agent), subject, call.at.div_euclid(DAY));
    let finding = found.entry(key).or_insert_with(|| Expected { first: call.at, ..Expected::default() });
    finding.severity = finding.severity.max(severity);
    finding.count += 1;
    finding.last = call.at;
    if finding.events.len() < EVIDENCE_MAX {
        finding.events.push(world.event_id(call.number));
    }
}

/// The same of findings as the product lists them: those that stand.
pub fn of_listed(listed: &[Value]) -> BTreeMap<Key, Expected> {
    let mut found = BTreeMap::new();
    for finding in listed.iter().filter(|finding| finding["state"] == "open") {
        let text = |key: &str| finding[key].as_str().unwrap_or_default().to_owned();
        let time = |key: &str| DateTime::parse_from_rfc3339(&text(key)).unwrap().timestamp();
        let severities = ["info", "low", "medium", "high", "critical"];
        let said = Expected {
            severity: severities.iter().position(|name| *name == text("severity")).unwrap() as u8,
            count: finding["count"].as_u64().unwrap(),
            first: time("first_seen"),
            last: time("last_seen"),
            events: finding["events"]
                .as_array()
                .unwrap()
                .iter()
                .map(|id| id.as_str().unwrap().to_owned())
                .collect(),
        };
        let key = (text("detection"), text("agent"), text("subject"), time("first_seen").div_euclid(DAY));
        assert!(found.insert(key.clone(), said).is_none(), "{key:?} exists twice");
    }
    found
}

/// What differs, by name, at most twenty lines; none where nothing does.
pub fn difference(expected: &BTreeMap<Key, Expected>, found: &BTreeMap<Key, Expected>) -> Option<String> {
    let mut lines = Vec::new();
    for (key, finding) in expected {
        match found.get(key) {
            None => lines.push(format!("lost {key:?}: {} events", finding.count)),
            Some(said) if said != finding => {
                let short = |of: &Expected| (of.severity, of.count, of.first, of.last, of.events.len());
                lines.push(format!("{key:?}: said {:?}, not {:?}", short(said), short(finding)));
            }
            Some(_) => {}
        }
    }
    lines
        .extend(found.keys().filter(|key| !expected.contains_key(key)).map(|key| format!("made up {key:?}")));
    let count = lines.len();
    lines.truncate(20);
    (count > 0).then(|| format!("{count} of {} findings differ:\n{}", expected.len(), lines.join("\n")))
}
