//! Where bytes arrive: sockets bound, connections accepted and limited.
