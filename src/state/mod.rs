//! The compiled snapshot, and the registry of what outlives it.
