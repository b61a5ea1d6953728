//! One event, read no further than somebody asks

use std::cell::OnceCell;

use ingest::event::EventView;

use crate::grant::Grants;
use crate::permission::{Call, Facts, Naming, Needed};

/// An event whose JSON is read when first asked for.
pub(super) struct Looked<'v, 'a> {
    pub(super) view: &'v EventView<'a>,
    pub(super) row: usize,
    grants: &'a Grants,
    /// What the names of permissions hang on.
    naming: OnceCell<Facts<'a>>,
    /// All of it.
    facts: OnceCell<Facts<'a>>,
}

impl<'v, 'a> Looked<'v, 'a> {
    pub(super) fn new(view: &'v EventView<'a>, row: usize, grants: &'a Grants) -> Looked<'v, 'a> {
        Looked { view, row, grants, naming: OnceCell::new(), facts: OnceCell::new() }
    }

    /// The few columns that name what is needed: asked of nearly every event, so the others are not looked at.
    pub(super) fn naming(&self) -> &Facts<'a> {
        let (view, row) = (self.view, self.row);
        let call = || Call {
            service: view.service(row).unwrap_or_default(),
            operation: view.operation(row).unwrap_or_default(),
            request: view.request(row),
            request_keys: view.request_keys(row),
            additional: view.additional(row),
            error_message: view.error_message(row),
            ..Call::default()
        };
        self.naming.get_or_init(|| Facts::new(call()))
    }

    fn facts(&self) -> &Facts<'a> {
        let call = || Call { directory: Some(self.grants), ..Call::unlisted(self.view, self.row) };
        self.facts.get_or_init(|| Facts::new(call()))
    }

    /// A permission that the call needed, with its resources.
    pub(super) fn needed_of(&self, named: &Naming) -> Needed {
        self.listed().needed_of(named)
    }

    /// The same facts, of which resources may be asked.
    pub(super) fn listed(&self) -> &Facts<'a> {
        let facts = self.facts();
        facts.tell_listed(|| self.view.resources(self.row));
        facts
    }
}
