//! kkt-adapter
