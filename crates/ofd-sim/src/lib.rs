//! ofd-sim
