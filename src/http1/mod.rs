//! The HTTP/1.1 codec: bytes to heads and bodies, and back (RFC 9112).
