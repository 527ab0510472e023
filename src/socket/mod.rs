//! Byte streams and what every reader and writer of them needs.
