//! What a batch brings for later events: changes of policies, and what its events gave to others

use std::cell::OnceCell;
use std::collections::HashMap;

use arrow::array::AsArray;
use arrow::datatypes::Int32Type;
use ingest::event::{EventBatch, EventView};

use crate::chain::Issued;
use crate::grant::{Grants, PolicyChange};
use crate::json::{Json, Tape};

/// What was asked for and what was answered in one call, each read when somebody first asks.
pub(crate) struct Parameters<'v, 'a> {
    pub(crate) view: &'v EventView<'a>,
    pub(crate) row: usize,
    request: OnceCell<Tape<'a>>,
    response: OnceCell<Tape<'a>>,
}

impl<'v, 'a> Parameters<'v, 'a> {
    pub(crate) fn new(view: &'v EventView<'a>, row: usize) -> Self {
        Self { view, row, request: OnceCell::new(), response: OnceCell::new() }
    }

    pub(crate) fn request(&self) -> Json<'_> {
        self.request.get_or_init(|| Tape::read(self.view.request(self.row))).root()
    }

    pub(crate) fn response(&self) -> Json<'_> {
        self.response.get_or_init(|| Tape::read(self.view.response(self.row))).root()
    }
}

/// What a batch brings for later events.
#[derive(Debug, Default)]
pub(crate) struct Brought {
    pub(super) changes: Vec<PolicyChange>,
    pub(crate) issued: Vec<Issued>,
    /// Why the policy that a row's call wrote cannot be read
    faults: HashMap<usize, String>,
}

impl Brought {
    /// Takes the changes of a batch into the grants, so that it does not matter where in it they stand.
    ///
    /// Most events are passed over without a look at more than their services and what may name requests.
    pub(crate) fn of(batch: &EventBatch, view: &EventView<'_>, grants: &Grants) -> Brought {
        let services: Vec<&str> = PolicyChange::SERVICES.into_iter().chain(Issued::SERVICES).collect();
        let mut meant = rows_of_services(batch, view, &services).into_iter().peekable();
        let (mut brought, mut rows) = (Brought::default(), Vec::new());
        for row in 0..batch.rows() {
            let is_meant = meant.next_if_eq(&row).is_some();
            if !is_meant && !Issued::may_list_requests(view, row) {
                continue;
            }
            let parameters = Parameters::new(view, row);
            if let Some(change) = PolicyChange::told_by(&parameters) {
                rows.push(row);
                brought.changes.push(change);
            }
            brought.issued.extend(Issued::told_by(&parameters));
        }
        grants.apply(&brought.changes);
        let fault = |(row, change)| Some((row, grants.fault(change)?));
        brought.faults = rows.into_iter().zip(&brought.changes).filter_map(fault).collect();
        brought
    }

    pub(crate) fn has_fault(&self, row: usize) -> bool {
        self.faults.contains_key(&row)
    }

    pub(crate) fn fault(&self, row: usize) -> Option<&str> {
        self.faults.get(&row).map(String::as_str)
    }
}

/// The rows of calls to some services: found by the dictionary of services alone, since most batches have few or none.
fn rows_of_services(batch: &EventBatch, view: &EventView<'_>, services: &[&str]) -> Vec<usize> {
    let column = batch.column("service").and_then(|column| {
        let column = column.as_dictionary_opt::<Int32Type>()?;
        Some((column.keys(), column.values().as_string_opt::<i32>()?))
    });
    let Some((keys, names)) = column else {
        let is_meant = |row: &usize| view.service(*row).is_some_and(|service| services.contains(&service));
        return (0..batch.rows()).filter(is_meant).collect();
    };
    let is_meant: Vec<bool> =
        names.iter().map(|name| name.is_some_and(|name| services.contains(&name))).collect();
    if !is_meant.contains(&true) {
        return Vec::new();
    }
    let is_meant = |key: Option<i32>| {
        key.and_then(|key| is_meant.get(usize::try_from(key).ok()?)).copied().unwrap_or_default()
    };
    keys.iter().enumerate().filter(|(_, key)| is_meant(*key)).map(|(row, _)| row).collect()
}
