//! The page as a reader's browser, and an attacker, meets it.

mod admission;
mod pages;
mod support;

pub(super) use support::finding;
