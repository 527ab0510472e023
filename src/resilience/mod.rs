//! Pure machines: deadlines, retries, budgets, backoff.
