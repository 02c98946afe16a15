//! kkt
