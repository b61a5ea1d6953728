//! CloudTrail: what its records say, as rows.
//!
//! A record is read in one forward pass ([`walk`]; the keys and their order: [`keys`], the tokens: [`scan`], parts that
//! are known again: [`repeats`]) that notes where its fields stand ([`slots`]), and what a column holds is taken from
//! there ([`record`], [`row`]) when it is built, or when somebody asks ([`verbatim`]). Nothing is searched twice, and what
//! nobody asked for is not computed. `serde_json` reads the same records in the tests and must find the same rows and the
//! same faults.

use crate::event::EventBuilder;
use crate::formats::frames::Window;
use crate::inflate::{Limits, Shared};
use crate::object::{Place, Unread};
use crate::quarantine::reason;
use crate::redact::Redaction;
use scan::Fault;

pub use crate::object::{ReadObject, read_object, read_record};
pub(crate) use slots::Slots;

mod keys;
pub(crate) mod record;
pub(crate) mod repeats;
pub(crate) mod row;
mod scan;
mod slots;
pub(crate) mod verbatim;
mod walk;

/// Where the record at `at` of a window leads to.
pub(crate) enum Fast {
    /// It is a row now, and ends here.
    Row(usize),
    /// It must be looked at more closely.
    Unclear,
}

/// Makes a row of the record at `at`, if all is well with it and it ends before `end`.
#[inline]
pub(crate) fn append_at(
    builder: &mut EventBuilder,
    slots: &mut Slots,
    window: Window<'_>,
    (at, end): (usize, usize),
    place: Place<'_>,
    limits: &Limits,
    redact: &Redaction,
) -> Fast {
    let Some(text) = window.text.and_then(|text| text.get(..end)) else { return Fast::Unclear };
    let Ok(past) = slots.read(text, at, limits.depth_max) else { return Fast::Unclear };
    if slots.marked || past - at > limits.record_bytes_max {
        return Fast::Unclear;
    }
    match append_record(builder, slots, (text, at, past), window.shared, place, redact) {
        Ok(()) => Fast::Row(past),
        Err(_) => Fast::Unclear,
    }
}

/// Makes a row of one record, or says why it cannot. `depth`: how deep it nests.
pub(crate) fn append(
    builder: &mut EventBuilder,
    slots: &mut Slots,
    text: &[u8],
    depth: usize,
    place: Place<'_>,
    limits: &Limits,
    redact: &Redaction,
) -> Result<(), Unread> {
    if text.len() > limits.record_bytes_max {
        return Err(Unread::new(reason::RECORD_TOO_BIG, format!("{} bytes", text.len())));
    }
    if depth > limits.depth_max {
        return Err(Unread::new(reason::TOO_DEEP, format!("nested {depth} deep")));
    }
    let text = std::str::from_utf8(text).map_err(|error| {
        Unread::new(reason::BAD_ENCODING, format!("not UTF-8 at byte {}", error.valid_up_to()))
    })?;
    if !text.starts_with('{') {
        return Err(Unread::new(reason::WRONG_TYPE, "a record is an object"));
    }
    slots.read(text, 0, limits.depth_max).map_err(|(fault, at)| unread(fault, at))?;
    append_record(builder, slots, (text, 0, text.len()), None, place, redact)
}

/// Appends what `slots` read last: the record from one place of a text to another. `shared`: that text, if it may be kept.
#[inline]
fn append_record(
    builder: &mut EventBuilder,
    slots: &mut Slots,
    (text, from, to): (&str, usize, usize),
    shared: Option<&Shared>,
    place: Place<'_>,
    redact: &Redaction,
) -> Result<(), Unread> {
    let mut clock = slots.clock;
    let time = row::time_of(&slots.record(text), &mut clock)?;
    slots.clock = clock;
    row::write_aside(slots, text, builder.columns(), redact);
    builder.append_row(&row::Row::new(slots.record(text), time, place), slots.fields.sources);
    if let Some(verbatim) = builder.verbatim() {
        match shared {
            Some(shared) => verbatim.push_shared(slots, shared, time, place.row),
            None => verbatim.push(slots, text, from..to, time, place.row),
        }
    }
    Ok(())
}

/// Names what the reader refused.
fn unread(fault: Fault, at: usize) -> Unread {
    let (reason, what) = match fault {
        Fault::Structure => {
            (reason::BAD_JSON, "a bracket, comma, colon or value is missing or misplaced".into())
        }
        Fault::String => (reason::BAD_JSON, "a string that is none".into()),
        Fault::Number => (reason::BAD_JSON, "a number that is none".into()),
        Fault::Literal => (reason::BAD_JSON, "neither `true`, `false` nor `null`".into()),
        Fault::Depth => (reason::TOO_DEEP, "nested too deep".into()),
        Fault::Type(name) => (reason::WRONG_TYPE, format!("`{name}` is of another type")),
        Fault::Duplicate(name) => (reason::DUPLICATE_KEY, format!("`{name}` is there twice")),
    };
    Unread::new(reason, format!("{what}, at byte {at}"))
}

#[cfg(test)]
mod agreement;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod tests;
