//! The ledger, fact by fact.
