//! Where to: from a snapshot and a request head to a decision.
