//! A column of few values as it is built: a code for each row, each value once.

use std::collections::HashMap;
use std::hash::Hasher;
use std::sync::Arc;

use arrow::array::{ArrayRef, DictionaryArray, Int32Array, StringArray};
use arrow::buffer::{BooleanBuffer, Buffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::Int32Type;
use rustc_hash::FxHasher;

/// A value met at most this far from its place; beyond, somebody chooses values that collide.
const PROBES_MAX: usize = 64;

/// Fewer rows than this are quicker looked at one by one than their sources are remembered: that takes room for all places.
const REMEMBERED_MIN: usize = 32;

/// Codes of the rows, -1 for null.
#[derive(Default)]
pub(super) struct Names {
    codes: Vec<i32>,
    nulls: usize,
    values: Values,
    /// The code of the last value: many columns say the same thing for rows on end.
    last: i32,
    /// Code and number of the source that each place held last.
    known: Vec<(u64, i32)>,
    /// Whether that is kept at all
    remembers: bool,
}

/// Where a value comes from, that stands in many records byte for byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Source {
    /// A small number.
    pub place: usize,
    /// Never 0, and never the same for other bytes.
    pub id: u64,
}

impl Names {
    pub(super) fn with_capacity(rows: usize) -> Self {
        let remembers = rows >= REMEMBERED_MIN;
        Self { codes: Vec::with_capacity(rows), last: -1, remembers, ..Self::default() }
    }

    #[inline]
    pub(super) fn append(&mut self, value: Option<&str>) {
        let Some(value) = value else {
            self.nulls += 1;
            self.codes.push(-1);
            return;
        };
        if !self.values.get(self.last).is_some_and(|last| is_same(last, value.as_bytes())) {
            self.last = self.values.code(value);
        }
        self.codes.push(self.last);
    }

    /// Appends a value that is the same whenever `source` is: it is looked at once for each.
    #[inline]
    pub(super) fn append_from<'v>(
        &mut self,
        source: Option<Source>,
        value: impl FnOnce() -> Option<&'v str>,
    ) {
        let Some(Source { place, id }) = source.filter(|_| self.remembers) else {
            return self.append(value());
        };
        if let Some((known, code)) = self.known.get(place)
            && *known == id
        {
            self.nulls += usize::from(*code < 0);
            self.codes.push(*code);
            return;
        }
        self.append(value());
        if self.known.len() <= place {
            self.known.resize(place + 1, (0, -1));
        }
        if let (Some(known), Some(code)) = (self.known.get_mut(place), self.codes.last()) {
            *known = (id, *code);
        }
    }

    pub(super) fn finish(&mut self) -> ArrayRef {
        let Self { codes, nulls, values, .. } = std::mem::take(self);
        let is_there = |at: usize| codes.get(at).is_some_and(|code| *code >= 0);
        let valid = (nulls > 0).then(|| BooleanBuffer::collect_bool(codes.len(), is_there).into());
        let mut codes = codes;
        if nulls > 0 {
            // What stands under a null is read by some kernels: it must be a code.
            codes.iter_mut().for_each(|code| *code = (*code).max(0));
        }
        let keys = Int32Array::new(ScalarBuffer::from(codes), valid);
        Arc::new(DictionaryArray::<Int32Type>::new(keys, Arc::new(values.finish())))
    }
}

/// Distinct values and their codes.
#[derive(Default)]
struct Values {
    bytes: Vec<u8>,
    /// Where each value begins, and where the last ends; nothing while there are none.
    ends: Vec<i32>,
    hashes: Vec<u32>,
    /// Code plus one by hash, 0 where free; a power of two long, at most half full.
    places: Vec<u32>,
    /// Every value, once some of them crowd: a hash that nobody outside can steer.
    crowded: Option<HashMap<Box<str>, i32>>,
}

impl Values {
    #[inline]
    fn get(&self, code: i32) -> Option<&[u8]> {
        let at = usize::try_from(code).ok()?;
        let bounds = self.ends.get(at..at + 2)?;
        self.bytes.get(*bounds.first()? as usize..*bounds.last()? as usize)
    }

    fn code(&mut self, value: &str) -> i32 {
        if let Some(codes) = &mut self.crowded {
            if let Some(code) = codes.get(value) {
                return *code;
            }
            let code = self.hashes.len() as i32;
            codes.insert(value.into(), code);
            return self.push(value, 0);
        }
        if self.places.len() < 2 * (self.hashes.len() + 1) {
            self.grow();
        }
        let hash = hash(value);
        let mask = self.places.len() - 1;
        let mut place = hash as usize & mask;
        for _ in 0..PROBES_MAX {
            match self.places.get_mut(place) {
                Some(0) | None => {
                    let code = self.push(value, hash);
                    if let Some(free) = self.places.get_mut(place) {
                        *free = code as u32 + 1;
                    }
                    return code;
                }
                Some(taken) => {
                    let code = *taken as i32 - 1;
                    if self.hashes.get(code as usize) == Some(&hash)
                        && self.get(code).is_some_and(|known| is_same(known, value.as_bytes()))
                    {
                        return code;
                    }
                }
            }
            place = (place + 1) & mask;
        }
        self.crowd();
        self.code(value)
    }

    fn push(&mut self, value: &str, hash: u32) -> i32 {
        if self.ends.is_empty() {
            self.ends.push(0);
        }
        self.bytes.extend_from_slice(value.as_bytes());
        self.ends.push(self.bytes.len() as i32);
        self.hashes.push(hash);
        self.hashes.len() as i32 - 1
    }

    fn grow(&mut self) {
        let length = (self.places.len() * 2).max(16);
        let mask = length - 1;
        let mut places = vec![0u32; length];
        for (code, hash) in self.hashes.iter().enumerate() {
            let mut place = *hash as usize & mask;
            while let Some(taken) = places.get_mut(place) {
                if *taken == 0 {
                    *taken = code as u32 + 1;
                    break;
                }
                place = (place + 1) & mask;
            }
        }
        self.places = places;
    }

    #[cold]
    fn crowd(&mut self) {
        let codes = (0..self.hashes.len() as i32).filter_map(|code| {
            let value = std::str::from_utf8(self.get(code)?).ok()?;
            Some((Box::from(value), code))
        });
        self.crowded = Some(codes.collect());
    }

    fn finish(self) -> StringArray {
        if self.ends.is_empty() {
            return StringArray::new_null(0);
        }
        StringArray::new(OffsetBuffer::new(ScalarBuffer::from(self.ends)), Buffer::from_vec(self.bytes), None)
    }
}

/// Whether two values are the same. Most are short, and two loads of each say it without a call.
#[inline]
fn is_same(one: &[u8], other: &[u8]) -> bool {
    fn ends<const N: usize>(value: &[u8]) -> Option<([u8; N], [u8; N])> {
        Some((*value.first_chunk()?, *value.last_chunk()?))
    }
    one.len() == other.len()
        && match one.len() {
            17.. => one == other,
            8.. => ends::<8>(one) == ends::<8>(other),
            4.. => ends::<4>(one) == ends::<4>(other),
            2.. => ends::<2>(one) == ends::<2>(other),
            _ => one.first() == other.first(),
        }
}

fn hash(value: &str) -> u32 {
    let mut hasher = FxHasher::default();
    hasher.write(value.as_bytes());
    let hash = hasher.finish();
    (hash ^ hash >> 32) as u32
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray;
    use proptest::prelude::*;

    use super::*;

    fn column(values: &[Option<String>]) -> Vec<Option<String>> {
        let mut names = Names::with_capacity(values.len());
        values.iter().for_each(|value| names.append(value.as_deref()));
        let array = names.finish();
        let array = array.as_dictionary::<Int32Type>().downcast_dict::<StringArray>().unwrap();
        array.into_iter().map(|value| value.map(str::to_owned)).collect()
    }

    #[test]
    fn each_value_is_kept_once() {
        let mut names = Names::with_capacity(3);
        for value in ["a", "b", "a"] {
            names.append(Some(value));
        }
        let array = names.finish();
        let array = array.as_dictionary::<Int32Type>();
        assert_eq!((array.keys().values().as_ref(), array.values().len()), ([0, 1, 0].as_slice(), 2));
        assert_eq!(names.finish().len(), 0, "a finished builder begins anew");
    }

    #[test]
    fn a_source_is_looked_at_once_and_its_place_may_change_hands() {
        let mut names = Names::with_capacity(REMEMBERED_MIN);
        let source = |place, id| Some(Source { place, id });
        names.append_from(source(3, 1), || Some("a"));
        names.append_from(source(3, 1), || panic!("not looked at"));
        names.append_from(source(3, 2), || None);
        names.append_from(source(3, 2), || panic!("not looked at"));
        names.append_from(source(3, 1), || Some("b"));
        let array = names.finish();
        let array = array.as_dictionary::<Int32Type>().downcast_dict::<StringArray>().unwrap();
        assert_eq!(array.into_iter().collect::<Vec<_>>(), [Some("a"), Some("a"), None, None, Some("b")]);
    }

    #[test]
    fn of_few_rows_each_is_looked_at() {
        let mut names = Names::with_capacity(REMEMBERED_MIN - 1);
        let source = Some(Source { place: 3, id: 1 });
        names.append_from(source, || Some("a"));
        names.append_from(source, || Some("b"));
        assert!(names.known.is_empty(), "no room was taken");
        let array = names.finish();
        let array = array.as_dictionary::<Int32Type>().downcast_dict::<StringArray>().unwrap();
        assert_eq!(array.into_iter().collect::<Vec<_>>(), [Some("a"), Some("b")]);
    }

    #[test]
    fn values_that_crowd_are_still_told_apart() {
        let mut values = Values::default();
        values.grow();
        for at in 0..200 {
            values.code(&at.to_string());
        }
        values.crowd();
        assert_eq!(
            (values.code("7"), values.code("new"), values.code("new"), values.code("199")),
            (7, 200, 200, 199)
        );
    }

    proptest! {
        #[test]
        fn values_are_the_same_byte_for_byte(value in "[a-b]{0,40}", at in 0usize..40, byte in b'a'..b'c') {
            let mut other = value.clone().into_bytes();
            if let Some(place) = other.get_mut(at) {
                *place = byte;
            }
            prop_assert_eq!(is_same(value.as_bytes(), &other), value.as_bytes() == other);
            other.push(byte);
            prop_assert!(!is_same(value.as_bytes(), &other));
        }

        #[test]
        fn what_goes_in_comes_out(values in prop::collection::vec(prop::option::of("[a-c]{0,3}"), 0..200)) {
            prop_assert_eq!(column(&values), values);
        }
    }
}
