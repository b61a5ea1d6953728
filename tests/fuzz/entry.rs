//! The entry of `ingest/tests/input/entries.rs` that `REMIT_ENTRY` names, with whatever bytes lead further into it.

#![no_main]

#[path = "../../ingest/tests/input/entries.rs"]
mod entries;

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;

static ENTRY: LazyLock<entries::Entry> = LazyLock::new(|| {
    let wanted = std::env::var("REMIT_ENTRY").unwrap_or_default();
    let found = entries::ALL.iter().find(|(name, _)| *name == wanted);
    found.unwrap_or_else(|| panic!("no entry is called {wanted:?}: see REMIT_ENTRY in tests/fuzz/run")).1
});

fuzz_target!(|bytes: &[u8]| ENTRY(bytes));
