//! The report's formats, one a file.

pub(crate) mod csv;
mod fold;
pub(crate) mod html;
pub(crate) mod json;
pub(crate) mod markdown;
