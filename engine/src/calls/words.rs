//! Texts as small numbers: what a log repeats is compared, hashed and counted as an integer

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{Array, AsArray, DictionaryArray, StringArray};
use arrow::datatypes::Int32Type;
use ingest::event::EventBatch;

/// The number of a value that is not there.
pub(super) const NONE: u32 = 0;

/// Every text that was met, numbered in order of appearance. Its keeper forgets it when it has grown too large.
#[derive(Debug)]
pub(super) struct Words {
    // Texts are the attacker's to choose: a hasher that nobody can aim at.
    ids: HashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
}

impl Default for Words {
    fn default() -> Words {
        Words { ids: HashMap::new(), texts: vec!["".into()] }
    }
}

impl Words {
    /// The number of a text; a new one where it is new.
    pub(super) fn id(&mut self, text: &str) -> u32 {
        if let Some(id) = self.ids.get(text) {
            return *id;
        }
        let id = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        let text: Arc<str> = text.into();
        self.texts.push(Arc::clone(&text));
        self.ids.insert(text, id);
        id
    }

    /// The text of a number; empty for [`NONE`].
    pub(super) fn text(&self, id: u32) -> &Arc<str> {
        #[expect(
            clippy::indexing_slicing,
            reason = "numbers are given out by this list, and the first is always there"
        )]
        self.texts.get(id as usize).unwrap_or(&self.texts[0])
    }

    /// Places of some numbers in the order of their texts, by number.
    pub(super) fn ranks(&self, ids: impl Iterator<Item = u32>) -> Vec<u32> {
        let mut ranks = vec![NONE; self.texts.len()];
        let mut used = Vec::new();
        for id in ids {
            if let Some(rank) = ranks.get_mut(id as usize).filter(|rank| **rank == NONE) {
                *rank = 1;
                used.push(id);
            }
        }
        used.sort_unstable_by(|a, b| self.text(*a).cmp(self.text(*b)));
        for (place, id) in (1..).zip(used) {
            if let Some(rank) = ranks.get_mut(id as usize) {
                *rank = place;
            }
        }
        ranks
    }

    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }
}

/// A column of few values, read as numbers of [`Words`]. Each value of its dictionary is looked up once, and only if a
/// row has it.
pub(super) struct Codes<'a> {
    column: Option<(&'a DictionaryArray<Int32Type>, &'a StringArray)>,
    ids: Vec<u32>,
}

const UNSEEN: u32 = u32::MAX;

impl<'a> Codes<'a> {
    /// A column that the batch lacks has no values.
    pub(super) fn of(batch: &'a EventBatch, name: &str) -> Codes<'a> {
        let column = batch.column(name).and_then(|column| {
            let column = column.as_dictionary_opt::<Int32Type>()?;
            Some((column, column.values().as_string_opt::<i32>()?))
        });
        let ids = vec![UNSEEN; column.map_or(0, |(_, values)| values.len())];
        Codes { column, ids }
    }

    /// The number of a row's value.
    pub(super) fn id(&mut self, row: usize, words: &mut Words) -> u32 {
        let Some((column, values)) = self.column else { return NONE };
        let Some(key) = column.key(row) else { return NONE };
        let Some(id) = self.ids.get_mut(key) else { return NONE };
        if *id == UNSEEN {
            *id = if values.is_valid(key) { words.id(values.value(key)) } else { NONE };
        }
        *id
    }
}
