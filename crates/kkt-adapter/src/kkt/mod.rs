//! The cash registers: one module a kind of device, each behind [`crate::ports::KktDriver`].

pub mod virtual_kkt;
