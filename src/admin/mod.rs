//! The admin API: what operators and tools read, and the commands they give.
