//! What an operation needs, as far as its name and its denials tell

use crate::permission::{self, Call};
use crate::reference;
use ingest::denial;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Permissions that denials of one operation may name; more are left out.
const NAMES_MAX: usize = 16;

/// Permissions that the denials of one group named.
#[derive(Debug, Default)]
pub(super) struct Denials {
    names: BTreeSet<String>,
    /// The text that was noted last: most repeat it.
    last: String,
}

impl Denials {
    /// Notes what a denial's text names.
    pub(super) fn note(&mut self, message: &str) {
        if self.last == message {
            return;
        }
        self.last.clear();
        self.last.push_str(message);
        let Some(denial) = denial::parse(message) else { return };
        for name in &denial.permissions {
            if !self.names.contains(*name) {
                self.add((*name).to_owned());
            }
        }
    }

    pub(super) fn merge(&mut self, other: Denials) {
        for name in other.names {
            self.add(name);
        }
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
        denials: Option<&Denials>,
        permissions: &mut Vec<String>,
    ) {
        let [provider, event_type] = kind.map(|text| &**text);
        let [service, operation] = operation.map(|text| &**text);
        let known = self
            .known
            .entry([provider, event_type, service, operation])
            .or_insert_with(|| certain(provider, event_type, service, operation));
        let named = denials.into_iter().flat_map(|denials| &denials.names);
        let named = named.map(|name| reference::permission(name).map_or(name, |known| &known.name));
        for name in known.iter().chain(named) {
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
