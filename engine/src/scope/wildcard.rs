//! `*` and `?` as the clouds read them
