//! From the text of `proxy.toml` to checked types.
