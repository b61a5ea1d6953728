//! Facts come in: where bytes wait, what a record says, one Arrow table for three clouds
