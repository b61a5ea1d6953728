//! Which rows of a batch are events that no worker has met before

use crate::seen::{Account, EventId, Events, Seen, SeenError};
use arrow::array::{ArrayRef, AsArray, DictionaryArray};
use arrow::datatypes::Int32Type;
use ingest::EventBatch;

/// Meets the events of batches, each known by its account and id. Keeps its room from one batch to the next.
#[derive(Debug, Default)]
pub struct Meeting {
    /// By the codes of the receiving account, then by those of the caller's
    accounts: [Vec<Account>; 2],
    events: Events,
    is_new: Vec<bool>,
}

impl Meeting {
    /// Adds the batch's events to `seen`, and tells of each row whether it was not there.
    ///
    /// # Errors
    /// [`SeenError`], when what does not fit into memory cannot be kept on disk.
    pub fn of(&mut self, batch: &EventBatch, seen: &Seen) -> Result<&[bool], SeenError> {
        let ids = batch.column("event_id").and_then(|ids| ids.as_string_view_opt());
        let columns = ["recipient_account", "account"].map(|name| coded(batch.column(name)));
        for (accounts, column) in self.accounts.iter_mut().zip(columns) {
            accounts.clear();
            let texts = column.and_then(|column| column.values().as_string_opt::<i32>());
            accounts.extend(texts.into_iter().flatten().map(|text| seen.account(text.unwrap_or_default())));
        }
        let nowhere = seen.account("");
        let [receiving, calling] = &self.accounts;
        let [receiving, calling] =
            [(receiving, columns[0]), (calling, columns[1])].map(|(accounts, column)| {
                move |row| {
                    column.and_then(|column| column.key(row)).and_then(|code: usize| accounts.get(code))
                }
            });
        let addenda = coded(batch.column("addendum"));
        let words = addenda.and_then(|column| column.values().as_string_opt::<i32>());
        let addendum = |row| words.zip(addenda?.key(row)).map(|(words, code): (_, usize)| words.value(code));
        self.events.clear();
        for row in 0..batch.rows() {
            let account = receiving(row).or_else(|| calling(row)).unwrap_or(&nowhere);
            let id = ids.map_or("", |ids| ids.value(row));
            match addendum(row) {
                None => self.events.push(seen, account, EventId::parse(id)),
                // As `seen::event_of` has it: what was delivered again with more in it is an event of its own.
                Some(addendum) => {
                    self.events.push(seen, account, EventId::parse(&format!("{id}+{addendum}")));
                }
            }
        }
        seen.insert_many(&mut self.events, &mut self.is_new)?;
        Ok(&self.is_new)
    }
}

fn coded(column: Option<&ArrayRef>) -> Option<&DictionaryArray<Int32Type>> {
    column.and_then(|column| column.as_dictionary_opt::<Int32Type>())
}
