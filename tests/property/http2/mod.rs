//! The HTTP/2 codec against noise, and against what is known to be right.

mod fields;
mod fuzz;
