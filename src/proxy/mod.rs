//! The walk of a request, a file per step.
