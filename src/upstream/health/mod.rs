//! Health of endpoints, asked for and observed.
