//! What is remembered: metrics, access log, log.
