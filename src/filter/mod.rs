//! Steps on the way of a request, compiled from its route.
