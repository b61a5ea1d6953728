//! Texts as small numbers: what a log repeats is compared, hashed and counted as an integer

use std::sync::Arc;

use arrow::array::{Array, AsArray, DictionaryArray, StringArray};
use arrow::datatypes::Int32Type;
use foldhash::HashMap;
use ingest::event::EventBatch;

/// The number of a value that is not there.
pub(super) const NONE: u32 = 0;

/// Every text that was met, numbered in order of appearance. Its keeper forgets it when it has grown too large.
#[derive(Debug)]
pub(super) struct Words {
    // Texts are the attacker's to choose: a hasher that nobody can aim at.
    ids: HashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
    /// The numbers of those that were ranked, by text, and the rank of each
    in_order: Vec<u32>,
    ranks: Vec<u32>,
}

impl Default for Words {
    fn default() -> Words {
        Words { ids: HashMap::default(), texts: vec!["".into()], in_order: Vec::new(), ranks: Vec::new() }
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

    /// Puts all texts in order, for [`rank`](Self::rank). Only those that are new since the last time are compared.
    pub(super) fn put_in_order(&mut self) {
        let known = self.in_order.len();
        if known == self.texts.len() {
            return;
        }
        let mut new: Vec<u32> = (0..).take(self.texts.len()).skip(known).collect();
        new.sort_unstable_by(|a, b| self.text(*a).cmp(self.text(*b)));
        let mut in_order = Vec::with_capacity(self.texts.len());
        let mut rest = self.in_order.as_slice();
        for id in new {
            let before = rest.partition_point(|known| self.text(*known) < self.text(id));
            let (smaller, larger) = rest.split_at_checked(before).unwrap_or_default();
            in_order.extend_from_slice(smaller);
            in_order.push(id);
            rest = larger;
        }
        in_order.extend_from_slice(rest);
        self.ranks.resize(in_order.len(), 0);
        for (rank, id) in (0..).zip(&in_order) {
            if let Some(place) = self.ranks.get_mut(*id as usize) {
                *place = rank;
            }
        }
        self.in_order = in_order;
    }

    /// The place of a number in the order of the texts, as they were when that was last asked for.
    pub(super) fn rank(&self, id: u32) -> u32 {
        self.ranks.get(id as usize).copied().unwrap_or_default()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_follow_the_texts_however_they_came() {
        let mut words = Words::default();
        for new in [&["m", "b", "z"][..], &["a", "n", "zz", "b"], &[], &["", "0"]] {
            new.iter().for_each(|text| _ = words.id(text));
            words.put_in_order();
            let mut by_rank: Vec<u32> = (0..words.len() as u32).collect();
            by_rank.sort_by_key(|id| words.rank(*id));
            let texts: Vec<&str> = by_rank.iter().map(|id| &**words.text(*id)).collect();
            assert!(texts.is_sorted(), "{texts:?}");
        }
    }
}
