//! Each side answers for what it did: a client's stall is never the endpoint's fault, and who
//! moves, however slowly, has not stalled.

mod broken_answers;
mod idle;
mod silent_uploads;
mod slow_h2_endpoints;
mod slow_readers;
