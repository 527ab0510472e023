//! Properties of the route table and of the rules that feed it.

mod allocation;
mod authority;
mod fields;
mod path;
mod precedence;
mod scan;
mod table;
