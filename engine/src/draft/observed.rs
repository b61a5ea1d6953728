//! What identities were seen to do: permissions, and the resources that they were used on

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::places::Places;
use crate::attribution::caused_by;
use crate::baseline::{ANY_PERMISSION, POSSIBLE};
use crate::permission::{self, Call};
use crate::store::Use;
use ingest::event::{EventBatch, EventView};

/// Permissions of one identity, and regions, that are kept: names in a log are endless only if somebody makes them so.
const NAMES_MAX: usize = 5_000;

/// What was seen, by identity.
#[derive(Debug, Default)]
pub struct Observed {
    /// By canonical ARN
    pub identities: BTreeMap<String, Seen>,
    /// Events that were looked at, each once
    pub events: u64,
    ids: HashSet<String>,
}

/// What one identity was seen to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Successful calls
    pub calls: u64,
    /// Earliest, µs UTC
    pub first: i64,
    /// Latest, µs UTC
    pub last: i64,
    /// Some call bore the mark of an agent
    pub is_marked: bool,
    /// Where it called
    pub regions: BTreeSet<String>,
    /// Permissions that were certainly needed by calls that succeeded
    pub used: BTreeMap<String, Used>,
    /// Permissions that calls may have needed
    pub possible: BTreeMap<String, u64>,
    /// Permissions that were only ever denied
    pub denied: BTreeMap<String, u64>,
}

/// Use of one permission.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Used {
    /// Successful calls
    pub calls: u64,
    /// Those that a service made on the identity's behalf
    pub indirect: u64,
    /// Latest, µs UTC
    pub last: i64,
    /// On what
    pub(super) places: Places,
}

impl Observed {
    /// Takes a batch in. An event that was seen before counts once; events before `since` (µs UTC) do not count.
    pub fn read(&mut self, batch: &EventBatch, since: i64) {
        let view = batch.view();
        for row in 0..batch.rows() {
            let id = format!(
                "{}:{}",
                view.recipient_account(row).or(view.account(row)).unwrap_or_default(),
                view.event_id(row)
            );
            if view.time(row).is_some_and(|time| time >= since) && self.ids.insert(id) {
                self.events += 1;
                self.event(&view, row);
            }
        }
    }

    fn event(&mut self, view: &EventView<'_>, row: usize) {
        let (Some(actor), Some(time)) = (view.actor(row), view.time(row)) else { return };
        // A call that only asked whether it would be allowed did nothing.
        let is_dry = view.error_code(row).is_some_and(|code| code.ends_with("DryRunOperation"));
        let outcome = if is_dry { "dry_run" } else { view.outcome(row).unwrap_or_default() };
        if !matches!(outcome, "success" | "denied") {
            return;
        }
        let needed = permission::needed(&Call::of(view, row));
        let seen = self.identities.entry(actor.to_owned()).or_default();
        seen.is_marked |= view.agent_hint(row).is_some();
        if outcome == "success" {
            seen.saw(time, 1);
            if let Some(region) = view.region(row).filter(|_| seen.regions.len() < NAMES_MAX) {
                seen.regions.insert(region.to_owned());
            }
        }
        for one in needed {
            if permission::is_implicit(&one.permission) {
                continue;
            }
            match (outcome, one.certain) {
                ("denied", true) => count(&mut seen.denied, one.permission, 1),
                ("denied", false) => {}
                (_, false) => count(&mut seen.possible, one.permission, 1),
                (_, true) => {
                    let Some(used) = seen.slot(one.permission) else { continue };
                    used.calls += 1;
                    used.indirect += u64::from(caused_by(view, row).is_some());
                    used.last = used.last.max(time);
                    used.places.add(&one.resources, one.resources_known);
                }
            }
        }
    }

    /// What a store knows of identities: permissions without resources. Uses before `since` do not count.
    #[must_use]
    pub fn of_store(uses: &BTreeMap<String, BTreeMap<String, Use>>, since: i64) -> Observed {
        let mut observed = Observed::default();
        for (identity, permissions) in uses {
            let mut seen = Seen::default();
            for (name, of) in permissions.iter().filter(|(_, of)| of.last >= since) {
                let calls = u64::try_from(of.uses).unwrap_or_default();
                if name == ANY_PERMISSION {
                    seen.saw(of.first.max(since), calls);
                    seen.saw(of.last, 0);
                    observed.events += calls;
                } else if let Some(name) = name.strip_prefix(POSSIBLE) {
                    count(&mut seen.possible, name.to_owned(), calls);
                } else if !permission::is_implicit(name)
                    && let Some(used) = seen.slot(name.clone())
                {
                    used.calls += calls;
                    used.last = used.last.max(of.last);
                    used.places.add(&[], false);
                }
            }
            if seen.calls > 0 {
                observed.identities.insert(identity.clone(), seen);
            }
        }
        observed.settle();
        observed
    }

    /// What was used needs no mention as possible or denied. To be called once all is read.
    pub fn settle(&mut self) {
        for seen in self.identities.values_mut() {
            let used = &seen.used;
            seen.possible.retain(|name, _| !used.contains_key(name));
            seen.denied.retain(|name, _| !used.contains_key(name));
        }
        self.identities.retain(|_, seen| seen.calls > 0);
    }
}

impl Seen {
    fn saw(&mut self, time: i64, calls: u64) {
        self.first = if self.calls == 0 { time } else { self.first.min(time) };
        self.last = if self.calls == 0 { time } else { self.last.max(time) };
        self.calls += calls;
    }

    fn slot(&mut self, permission: String) -> Option<&mut Used> {
        if self.used.len() >= NAMES_MAX && !self.used.contains_key(&permission) {
            return None;
        }
        Some(self.used.entry(permission).or_default())
    }
}

fn count(counts: &mut BTreeMap<String, u64>, name: String, more: u64) {
    if counts.len() < NAMES_MAX || counts.contains_key(&name) {
        *counts.entry(name).or_default() += more;
    }
}
