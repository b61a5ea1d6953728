//! What the providers write.

use crate::object::Rows;
use frames::Shape;

pub mod cloudtrail;
pub(crate) mod frames;

/// Who wrote an object, told by its content: names and prefixes are the bucket owner's to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// AWS CloudTrail, and whatever no other format claims: its refusals say best what is wrong.
    CloudTrail,
}

impl Format {
    /// The format of an object by how `text`, its inflated bytes, begins.
    pub(crate) fn of(_text: &[u8]) -> Self {
        Self::CloudTrail
    }

    /// Gives every record of `text` to `rows`.
    pub(crate) fn read(self, text: &[u8], rows: &mut Rows<'_>) -> Shape {
        match self {
            Self::CloudTrail => cloudtrail::read(text, rows),
        }
    }
}
