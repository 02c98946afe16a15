//! ofd
