//! What an operation needs, as far as its name and its denials tell

use crate::permission::{self, Call};
use crate::reference;
use ingest::denial;
use ingest::event::EventView;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Permissions that the events of one group may name; more are left out.
const NAMES_MAX: usize = 16;

/// Permissions that the events of one group named: a denial of AWS's, or any event of the other clouds, which log what
/// was asked of their access control.
#[derive(Debug, Default)]
pub(super) struct Named {
    names: BTreeSet<String>,
    /// The text that was noted last: most repeat it.
    last: String,
}

impl Named {
    /// Notes what a denial's text names.
    pub(super) fn denial(&mut self, message: &str) {
        if !self.is_other(message) {
            return;
        }
        let Some(denial) = denial::parse(message) else { return };
        for name in &denial.permissions {
            if !self.names.contains(*name) {
                let known = reference::permission(name).map_or(*name, |known| &known.name);
                self.add(known.to_owned());
            }
        }
    }

    /// Notes what an event of another cloud than AWS certainly needed.
    pub(super) fn elsewhere(&mut self, view: &EventView<'_>, row: usize) {
        let told = view.granted(row);
        if !self.names.is_empty() && !self.is_other(told.unwrap_or_default()) {
            return;
        }
        let needed = permission::elsewhere(view, row).into_iter().flat_map(|call| call.needed);
        for needed in needed.filter(|needed| needed.certain) {
            self.add(needed.permission);
        }
    }

    pub(super) fn merge(&mut self, other: Named) {
        for name in other.names {
            self.add(name);
        }
    }

    fn is_other(&mut self, text: &str) -> bool {
        let is_other = self.last != text;
        if is_other {
            self.last.clear();
            self.last.push_str(text);
        }
        is_other
    }

    /// The same names are kept in whatever order they come: the smallest.
    fn add(&mut self, name: String) {
        self.names.insert(name);
        if self.names.len() > NAMES_MAX {
            self.names.pop_last();
        }
    }
}

/// Remembers what operations need.
#[derive(Debug, Default)]
pub(super) struct Needs<'a> {
    known: HashMap<[&'a str; 4], Vec<String>>,
}

impl<'a> Needs<'a> {
    /// Adds the permissions that calls of one kind (provider, type of event) and operation (service, name) needed.
    pub(super) fn of(
        &mut self,
        kind: [&'a Arc<str>; 2],
        operation: [&'a Arc<str>; 2],
        named: Option<&Named>,
        permissions: &mut Vec<String>,
    ) {
        let [provider, event_type] = kind.map(|text| &**text);
        let [service, operation] = operation.map(|text| &**text);
        let known = self
            .known
            .entry([provider, event_type, service, operation])
            .or_insert_with(|| certain(provider, event_type, service, operation));
        for name in known.iter().chain(named.into_iter().flat_map(|named| &named.names)) {
            if !permissions.contains(name) {
                permissions.push(name.clone());
            }
        }
    }
}

fn certain(provider: &str, event_type: &str, service: &str, operation: &str) -> Vec<String> {
    if provider != "aws" {
        return Vec::new();
    }
    let event_type = Some(event_type).filter(|kind| !kind.is_empty());
    let call = Call { service, operation, event_type, ..Call::default() };
    let needed = permission::needed(&call).into_iter().filter(|needed| needed.certain);
    needed.map(|needed| needed.permission).collect()
}
