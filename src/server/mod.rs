//! The life of the process: startup, workers, control, reload, drain.
