//! HTTP/2 of a client, below requests (RFC 9113): frames in both directions, streams, windows.
//!
//! Its tasks share one [`session::Session`], which is never borrowed across a wait. The
//! connection's task reads, splits frames and flushes; the task of an exchange appends its frames.
//!
//! - `session`: streams, windows and the way out; `stream`: one of these; `queue`: those that
//!   wait for room.
//! - `receive`: what the client sends, frame by frame; `meter`: what is too much of it; `turn`:
//!   requests that begin before other connections have their turn.
//! - `send`: heads, bodies and trailers on their way out.
//! - `body`: that of a request; `interim`: what comes before the response; `tunnel`: a stream
//!   as a way for bytes.

mod body;
mod interim;
mod meter;
mod queue;
pub(crate) mod receive;
pub(crate) mod send;
pub(crate) mod session;
pub(crate) mod stream;
pub(crate) mod tunnel;
mod turn;

pub use body::Http2RequestBody;
pub use interim::Http2Interim;
pub(crate) use session::STREAM_READ_MIN;
