//! Which rows of a batch are events that no worker has met before

use crate::seen::{Account, EventId, Seen, SeenError};
use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray};
use arrow::datatypes::Int32Type;
use ingest::EventBatch;

/// Meets the events of batches, each known by its account and id. Keeps its room from one batch to the next.
#[derive(Debug, Default)]
pub struct Meeting {
    /// By the codes of the receiving account, then by those of the caller's
    accounts: [Vec<Option<Account>>; 2],
    is_new: Vec<bool>,
}

impl Meeting {
    /// Adds the batch's events to `seen`, and tells of each row whether it was not there.
    ///
    /// # Errors
    /// [`SeenError`], when what does not fit into memory cannot be kept on disk.
    pub fn of(&mut self, batch: &EventBatch, seen: &Seen) -> Result<&[bool], SeenError> {
        self.is_new.clear();
        let records = &batch.records;
        let ids = records.column_by_name("event_id").and_then(|ids| ids.as_string_view_opt());
        let columns = ["recipient_account", "account"].map(|name| coded(records.column_by_name(name)));
        for (accounts, column) in self.accounts.iter_mut().zip(&columns) {
            accounts.clear();
            accounts.resize(column.map_or(0, |column| column.values().len()), None);
        }
        let nowhere = seen.account("");
        for row in 0..batch.rows() {
            let id = EventId::parse(ids.map_or("", |ids| ids.value(row)));
            let mut account = &nowhere;
            for (accounts, column) in self.accounts.iter_mut().zip(&columns) {
                let code = column.and_then(|column| column.key(row));
                if let Some((known, text)) = code.and_then(|code| {
                    let text = column.and_then(|column| column.values().as_string_opt::<i32>())?.value(code);
                    Some((accounts.get_mut(code)?, text))
                }) {
                    account = known.get_or_insert_with(|| seen.account(text));
                    break;
                }
            }
            self.is_new.push(seen.insert_id(account, id)?);
        }
        Ok(&self.is_new)
    }
}

fn coded(column: Option<&ArrayRef>) -> Option<&DictionaryArray<Int32Type>> {
    column.and_then(|column| column.as_dictionary_opt::<Int32Type>())
}
