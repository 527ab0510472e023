//! HTTP requests that control makes to services that the proxy itself uses: registries, and what
//! else keeps settings elsewhere.
//!
//! Not for traffic of clients. A [`Client`] speaks HTTP/1.1 to one origin, over TLS if its URL
//! says so, and keeps its connection for the next request. Everything is bounded: the time of a
//! request, from the name of the host to the last byte of the body, and the bytes of head and body.
//! [`grpc`] makes calls over HTTP/2. Redirects are answers like any other. Secrets are sent as headers and appear in no error.

mod client;
mod encode;
mod error;
pub mod grpc;
mod tls;

pub use client::{Answer, Ask, Client, Stream, Target};
pub use encode::encode;
pub use error::FetchError;
pub use tls::SharedTls;
