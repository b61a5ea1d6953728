//! Words as numbers, so that rows are grouped without touching text

use super::NOBODY;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::Int32Type;
use std::collections::HashMap;
use std::sync::Arc;

/// The number of no word.
pub(super) const ABSENT: u32 = 0;

/// Each word once, numbered as it came. Words are the attacker's to choose, hence the hasher of the standard library.
#[derive(Debug)]
pub(super) struct Words {
    numbers: HashMap<Arc<str>, u32>,
    texts: Vec<Arc<str>>,
    nobody: Arc<str>,
    /// The numbers of one dictionary's values
    scratch: Vec<u32>,
}

impl Default for Words {
    fn default() -> Words {
        let absent: Arc<str> = "".into();
        Words {
            numbers: HashMap::from([(absent.clone(), ABSENT)]),
            texts: vec![absent],
            nobody: NOBODY.into(),
            scratch: Vec::new(),
        }
    }
}

impl Words {
    pub(super) fn len(&self) -> usize {
        self.texts.len()
    }

    /// The word of a number.
    pub(super) fn text(&self, number: u32) -> &Arc<str> {
        self.texts.get(number as usize).unwrap_or(&self.nobody)
    }

    pub(super) fn nobody(&self) -> &Arc<str> {
        &self.nobody
    }

    /// The number of a word.
    pub(super) fn of(&mut self, text: &str) -> u32 {
        match self.numbers.get(text) {
            Some(number) => *number,
            None => self.add(text.into()),
        }
    }

    fn add(&mut self, text: Arc<str>) -> u32 {
        // More than 2^32 words do not come: `Usage` ends long before.
        let number = u32::try_from(self.texts.len()).unwrap_or(ABSENT);
        self.texts.push(text.clone());
        self.numbers.insert(text, number);
        number
    }

    /// The words of another, each under its number there.
    pub(super) fn take_in(&mut self, other: &Words) -> Vec<u32> {
        let own = |text: &Arc<str>| match self.numbers.get(text) {
            Some(number) => *number,
            None => self.add(text.clone()),
        };
        other.texts.iter().map(own).collect()
    }

    /// The numbers of a column, row by row; [`ABSENT`] where a row or the whole column has no word.
    pub(super) fn number(&mut self, column: Option<&ArrayRef>, rows_out: &mut Vec<u32>, rows: usize) {
        rows_out.clear();
        let column = column.and_then(|column| column.as_dictionary_opt::<Int32Type>());
        let Some((column, values)) =
            column.and_then(|column| Some((column, column.values().as_string_opt::<i32>()?)))
        else {
            rows_out.resize(rows, ABSENT);
            return;
        };
        let mut numbers = std::mem::take(&mut self.scratch);
        numbers.clear();
        numbers.extend(values.iter().map(|text| text.map_or(ABSENT, |text| self.of(text))));
        let number = |code: i32| {
            usize::try_from(code).ok().and_then(|code| numbers.get(code)).copied().unwrap_or(ABSENT)
        };
        let codes = column.keys();
        if codes.null_count() == 0 {
            rows_out.extend(codes.values().iter().map(|code| number(*code)));
        } else {
            rows_out.extend(codes.iter().map(|code| code.map_or(ABSENT, number)));
        }
        self.scratch = numbers;
    }
}
