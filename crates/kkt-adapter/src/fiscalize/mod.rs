//! fiscalize
