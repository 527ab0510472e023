//! The rules of the HTTP standards that every version shares; no policy.
