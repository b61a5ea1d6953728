//! What each operation needs, by name: asked once for an operation, not once for a call

use std::collections::HashMap;
use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::looked::Looked;
use crate::permission::{Names, Naming, is_free, is_told, overrule};

/// The names of every operation that was met.
#[derive(Debug, Default)]
pub(super) struct Operations {
    by_name: FxHashMap<(u32, u32), u32>,
    operations: Vec<Names>,
    namings: Vec<Arc<[Naming]>>,
    numbers: HashMap<Arc<[Naming]>, u32>,
    /// By the operation's names and the permissions that a denial lists.
    denied: HashMap<(u32, Vec<String>), u32>,
    size: usize,
}

impl Operations {
    /// The number of the names of what an event needed. `service` and `operation`: their words' numbers.
    pub(super) fn naming(&mut self, service: u32, operation: u32, event: &Looked<'_, '_>) -> u32 {
        if is_free(event.view.event_type(event.row)) {
            return self.number(Vec::new());
        }
        let next = u32::try_from(self.operations.len()).unwrap_or(u32::MAX);
        let at = *self.by_name.entry((service, operation)).or_insert(next);
        if at == next {
            self.operations.push(Names::default());
        }
        let (namings, numbers) = (&mut self.namings, &mut self.numbers);
        let Some(names) = self.operations.get_mut(at as usize) else { return 0 };
        let before = names.len();
        let spelled = (event.view.service(event.row), event.view.operation(event.row));
        let spelled = (spelled.0.unwrap_or_default(), spelled.1.unwrap_or_default());
        let own = names.of(
            spelled,
            |question| event.facts().answer(question),
            |named| number(namings, numbers, named),
        );
        self.size += names.len() - before;
        if event.view.error_message(event.row).is_none() || !is_told(spelled.0, spelled.1) {
            return own;
        }
        self.overruled(own, event)
    }

    /// A denial's own text names the true permission.
    fn overruled(&mut self, own: u32, event: &Looked<'_, '_>) -> u32 {
        let Some(denial) = event.facts().denial() else { return own };
        let key = (own, denial.permissions.iter().map(|one| (*one).to_owned()).collect::<Vec<String>>());
        if let Some(known) = self.denied.get(&key) {
            return *known;
        }
        let mut named = self.of(own).to_vec();
        overrule(&mut named, denial);
        let number = self.number(named);
        self.denied.insert(key, number);
        number
    }

    fn number(&mut self, named: Vec<Naming>) -> u32 {
        number(&mut self.namings, &mut self.numbers, named)
    }

    /// The names of a number, certain ones first.
    pub(super) fn of(&self, number: u32) -> Arc<[Naming]> {
        self.namings.get(number as usize).cloned().unwrap_or_default()
    }

    pub(super) fn len(&self) -> usize {
        self.size + self.operations.len() + self.namings.len() + self.denied.len()
    }
}

fn number(
    namings: &mut Vec<Arc<[Naming]>>,
    numbers: &mut HashMap<Arc<[Naming]>, u32>,
    named: Vec<Naming>,
) -> u32 {
    let named: Arc<[Naming]> = named.into();
    if let Some(known) = numbers.get(&named) {
        return *known;
    }
    let next = u32::try_from(namings.len()).unwrap_or(u32::MAX);
    namings.push(Arc::clone(&named));
    numbers.insert(named, next);
    next
}
