//! What a receipt is, what may happen to it and what its numbers mean. Pure: no I/O, no clock.

pub mod bilingual;
pub mod document;
pub mod entry;
pub mod ids;
pub mod lifecycle;
pub mod money;
pub mod receipt;
pub mod validate;
pub mod vat;
