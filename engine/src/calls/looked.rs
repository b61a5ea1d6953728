//! One event, read no further than somebody asks

use std::cell::OnceCell;

use ingest::event::EventView;

use crate::grant::Grants;
use crate::permission::{Call, Facts};

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
        let call = || Call { directory: Some(self.grants), ..Call::of(self.view, self.row) };
        self.facts.get_or_init(|| Facts::new(call()))
    }
}
