//! `compress` of a route: content codings of answers.

use crate::config::setting::{table, words};
use crate::config::value::{ByteSize, MediaPattern};

table! {
    /// Compression of answers for clients that accept it. Answers that are encoded already, parts (206, `Content-Range`), answers with `Cache-Control: no-transform`, gRPC, and upgrades stay as they are.
    pub struct Compress: Default {
        /// Content codings in the order of preference; among those that a client accepts with the same weight, the first is taken.
        pub encodings: Vec<Encoding> = vec![Encoding::Zstd, Encoding::Brotli, Encoding::Gzip],
        /// Length from which on an answer is compressed. An answer of unknown length always is.
        pub min: ByteSize = ByteSize::kib(1),
        /// Media types that are compressed: `"application/json"`, `"text/*"`, `"*/*+json"`. Empty: text, JSON, XML, JavaScript, WebAssembly, SVG, fonts that are not compressed by themselves.
        pub types: Vec<MediaPattern> = Vec::new(),
        /// Effort from 1 to 9, for all encodings. Not set: 3 for zstd, 4 for br, 6 for gzip.
        pub level: Option<u16> = None,
    }
}

words! {
    /// A content coding.
    pub enum Encoding {
        /// Zstandard (RFC 8878).
        Zstd = "zstd",
        /// Brotli (RFC 7932).
        Brotli = "br",
        /// Gzip (RFC 1952).
        Gzip = "gzip",
    }
    later { "deflate" }
}

impl Compress {
    /// Media types that are compressed unless others are named.
    pub const TYPES: [&'static str; 15] = [
        "text/*",
        "application/json",
        "*/*+json",
        "application/xml",
        "*/*+xml",
        "application/javascript",
        "application/x-javascript",
        "application/ecmascript",
        "application/wasm",
        "application/manifest+json",
        "application/graphql",
        "application/x-ndjson",
        "application/vnd.ms-fontobject",
        "font/ttf",
        "font/otf",
    ];
}
