//! What each operation needs, by name: asked once for an operation, not once for a call

use std::sync::Arc;

use foldhash::HashMap;
use rustc_hash::FxHashMap;

use super::looked::Looked;
use crate::permission::{Names, Naming, is_free, is_told, overrule};

/// The names of every operation that was met.
#[derive(Debug, Default)]
pub(super) struct Operations {
    by_name: FxHashMap<[u32; 4], u32>,
    operations: Vec<Spelled>,
    namings: Vec<Arc<[Naming]>>,
    numbers: HashMap<Arc<[Naming]>, u32>,
    /// By the operation's names and the permissions that a denial lists.
    denied: HashMap<(u32, Vec<String>), u32>,
    size: usize,
}

/// An operation, with the names that its calls need.
#[derive(Debug)]
struct Spelled {
    service: Box<str>,
    operation: Box<str>,
    is_free: bool,
    is_told: bool,
    names: Names,
}

impl Spelled {
    fn of(event: &Looked<'_, '_>) -> Spelled {
        let (view, row) = (event.view, event.row);
        let service = view.service(row).unwrap_or_default();
        let operation = view.operation(row).unwrap_or_default();
        Spelled {
            is_free: is_free(view.event_type(row)),
            is_told: is_told(service, operation),
            service: service.into(),
            operation: operation.into(),
            names: Names::default(),
        }
    }
}

impl Operations {
    /// The number of the names of what an event needed. `words`: the numbers of its provider, type, service and
    /// operation. `has_message`: an error's text may tell more.
    pub(super) fn naming(&mut self, words: [u32; 4], has_message: bool, event: &Looked<'_, '_>) -> u32 {
        let next = u32::try_from(self.operations.len()).unwrap_or(u32::MAX);
        let at = *self.by_name.entry(words).or_insert(next);
        if at == next {
            self.operations.push(Spelled::of(event));
        }
        let (namings, numbers) = (&mut self.namings, &mut self.numbers);
        let Some(spelled) = self.operations.get_mut(at as usize) else { return 0 };
        if spelled.is_free {
            return number(namings, numbers, Vec::new());
        }
        let names = &mut spelled.names;
        let before = names.len();
        let own = names.of(
            (&spelled.service, &spelled.operation),
            |question| event.naming().answer(question),
            |named| number(namings, numbers, named),
        );
        self.size += names.len() - before;
        if has_message && spelled.is_told { self.overruled(own, event) } else { own }
    }

    /// A denial's own text names the true permission.
    fn overruled(&mut self, own: u32, event: &Looked<'_, '_>) -> u32 {
        let Some(denial) = event.naming().denial() else { return own };
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
