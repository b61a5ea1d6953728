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
    facts: OnceCell<Facts<'a>>,
}

impl<'v, 'a> Looked<'v, 'a> {
    pub(super) fn new(view: &'v EventView<'a>, row: usize, grants: &'a Grants) -> Looked<'v, 'a> {
        Looked { view, row, grants, facts: OnceCell::new() }
    }

    pub(super) fn facts(&self) -> &Facts<'a> {
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
